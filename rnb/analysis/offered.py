"""What a run was asked for, in a few bytes: two runs can be compared where it is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnb.analysis.load_curve import offered_per_s
from rnb.analysis.pairing import SCHEDULE_COLUMNS
from rnb.record.run import Run

SAME_RATE = 0.01
"""Rates that differ by a smaller share are told as the same."""


@dataclass(frozen=True, kw_only=True)
class Offered:
    """Of the measured requests."""

    num_requests: int
    rate_per_s: float | None
    """None where all come at once."""
    arrivals: str
    """A digest of when each was due."""
    videos: str
    """A digest of what each was for."""


def offered(run: Run) -> Offered | None:
    """None of a folder of snuspl/rnb, which does not say."""
    if any(column not in run.requests for column in SCHEDULE_COLUMNS):
        return None
    measured = run.is_measured
    arrivals_ns, videos = run.requests["arrival_ns"][measured], run.requests["video"][measured]
    texts = "\0".join(videos.tolist()).encode("utf-8", "surrogateescape")
    return Offered(
        num_requests=int(np.count_nonzero(measured)),
        rate_per_s=offered_per_s(run),
        arrivals=hashlib.sha256(arrivals_ns.astype(np.int64).tobytes()).hexdigest(),
        videos=hashlib.sha256(texts).hexdigest(),
    )


def offered_difference(reference: Sequence[Offered | None], other: Sequence[Offered | None]) -> str:
    """What differs in the loads of two groups of runs; empty where both had the same ones."""
    first = [one for one in reference if one is not None]
    second = [one for one in other if one is not None]
    if len(first) < len(reference) or len(second) < len(other):
        return "a folder of snuspl/rnb does not say what load was offered"
    if set(first) == set(second):
        return ""
    rates = [_mean([one.rate_per_s or 0.0 for one in group]) for group in (first, second)]
    if abs(rates[1] - rates[0]) > SAME_RATE * max(rates):
        return f"the offered load differs: {rates[1]:.4g} requests/s against {rates[0]:.4g}"
    counts = [_mean([one.num_requests for one in group]) for group in (first, second)]
    if counts[0] != counts[1]:
        return f"the work differs: {counts[1]:.6g} requests against {counts[0]:.6g}"
    if {one.videos for one in first} != {one.videos for one in second}:
        return "the work differs: the requests are for other videos"
    return "the offered load differs: the requests arrive at other times"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
