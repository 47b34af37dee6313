"""What the plays of a peer come to: rates, latencies, CPU time, and whether its classes are RnB's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.peers.peer import Played
from benchmarks.peers.plays import Plays
from benchmarks.peers.running import Outcome
from benchmarks.peers.work import Arrival


@dataclass(frozen=True, kw_only=True)
class PlayFigures:
    """Of one play."""

    rate: float
    """Requests a second that were due; 0: all at once."""
    videos_per_s: float
    """From the start, at a rate the first arrival, to the last result."""
    p50_ms: float | None
    """From when a request was due; None: none has a result."""
    p99_ms: float | None
    num_failed: int
    cpu_ms: float | None
    """Of all processes, for a video."""
    agreement: float | None
    """The share of requests with the class that RnB gives them; None: RnB did not play."""


def compared(outcome: Outcome, reference: Outcome, plays: Plays) -> list[PlayFigures]:
    """Each play beside the first of RnB's, whose classes do not depend on when a request comes."""
    has_reference = reference.name == "rnb" and reference.plays
    labels = reference.plays[0].labels if has_reference else None
    return [
        figures_of(rate, arrivals, played, labels)
        for (rate, arrivals), played in zip(plays, outcome.plays, strict=False)
    ]


def figures_of(
    rate: float, arrivals: Sequence[Arrival], played: Played, labels: Sequence[int | None] | None
) -> PlayFigures:
    """`labels` are RnB's, of the same arrivals."""
    finish_s = np.array([np.nan if one is None else one for one in played.finish_s])
    due_s = np.array([arrival.due_s for arrival in arrivals])
    is_done = np.isfinite(finish_s)
    num_done = int(np.count_nonzero(is_done))
    latency_ms = 1000 * (finish_s - due_s)[is_done]
    return PlayFigures(
        rate=rate,
        videos_per_s=num_done / (finish_s[is_done].max() - due_s[0]) if num_done else 0.0,
        p50_ms=float(np.percentile(latency_ms, 50)) if num_done else None,
        p99_ms=float(np.percentile(latency_ms, 99)) if num_done else None,
        num_failed=len(arrivals) - num_done,
        cpu_ms=None if played.cpu_s is None else 1000 * played.cpu_s / len(arrivals),
        agreement=None if labels is None else agreement(played.labels, labels),
    )


def agreement(labels: Sequence[int | None], expected: Sequence[int | None]) -> float | None:
    """Of the requests that have a class in both; None: of none."""
    both = [
        one == other
        for one, other in zip(labels, expected, strict=True)
        if one is not None and other is not None
    ]
    return sum(both) / len(both) if both else None


def median_of(plays: Sequence[PlayFigures], name: str) -> float | None:
    """Of one figure over repeated plays; None where one of them has none."""
    values = [getattr(play, name) for play in plays]
    return None if None in values or not values else float(median(values))
