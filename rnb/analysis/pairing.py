"""The requests that two runs have in common: did they come at the same times, and get the same results?"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.contract.result import ClassResult, ResultKind
from rnb.record.run import Flags, Run

Rows = NDArray[np.intp]
SCHEDULE_COLUMNS = ("request_id", "arrival_ns", "video")


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What the measured requests of two runs have in common, matched by id."""

    schedule_difference: str
    """Why they cannot be compared by request; empty where both had the same videos at the same times."""
    num_paired: int
    """Requests with the same id and the same video."""
    num_requests: int
    """Measured requests of the larger run."""
    num_finished_in_one: int
    """Paired requests that finished in only one of the two."""
    num_compared: int
    """Requests with a result in both."""
    num_agreeing: int
    """Requests with the same result in both."""

    @property
    def is_paired(self) -> bool:
        return not self.schedule_difference


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Two runs request by request."""

    overlap: Overlap
    first: Rows
    other: Rows
    """Rows of the same requests, in order of arrival, those that finished in both."""


def pair(first: Run, other: Run) -> Pairing:
    """Match the measured requests of two runs."""
    num_requests = max(int(run.is_measured.sum()) for run in (first, other))
    if any(column not in run.requests for run in (first, other) for column in SCHEDULE_COLUMNS):
        return _unpaired("a folder of snuspl/rnb has no schedule", num_requests)
    left, right = _same_ids(first, other)
    same_video = first.requests["video"][left] == other.requests["video"][right]
    difference = _schedule_difference(first, other, left, right, same_video, num_requests)
    left, right = left[same_video], right[same_video]
    done = first.finished[left], other.finished[right]
    in_both, num_in_one = done[0] & done[1], int(np.count_nonzero(done[0] ^ done[1]))
    num_paired, left, right = len(left), left[in_both], right[in_both]
    has_result, agrees = _results(first, other, left, right)
    overlap = Overlap(
        schedule_difference=difference,
        num_paired=num_paired,
        num_requests=num_requests,
        num_finished_in_one=num_in_one,
        num_compared=int(np.count_nonzero(has_result)),
        num_agreeing=int(np.count_nonzero(agrees)),
    )
    return Pairing(overlap=overlap, first=left, other=right)


def _unpaired(difference: str, num_requests: int) -> Pairing:
    overlap = Overlap(
        schedule_difference=difference,
        num_paired=0,
        num_requests=num_requests,
        num_finished_in_one=0,
        num_compared=0,
        num_agreeing=0,
    )
    none = np.zeros(0, dtype=np.intp)
    return Pairing(overlap=overlap, first=none, other=none)


def _same_ids(first: Run, other: Run) -> tuple[Rows, Rows]:
    """Rows of the measured requests with the same id, in the order in which they arrive in the first run."""
    left, right = (np.flatnonzero(run.is_measured) for run in (first, other))
    ids = first.requests["request_id"][left], other.requests["request_id"][right]
    if not np.array_equal(*ids):
        _, at_left, at_right = np.intersect1d(*ids, assume_unique=True, return_indices=True)
        left, right = left[at_left], right[at_right]
    order = np.argsort(first.requests["arrival_ns"][left], kind="stable")
    return left[order], right[order]


def _schedule_difference(
    first: Run, other: Run, left: Rows, right: Rows, same_video: Flags, num_requests: int
) -> str:
    if len(left) < num_requests:
        return f"only {len(left)} of {num_requests} measured requests are in both"
    if not same_video.all():
        return f"{np.count_nonzero(~same_video)} of {num_requests} requests are for another video"
    if not np.array_equal(first.requests["arrival_ns"][left], other.requests["arrival_ns"][right]):
        return "the requests arrive at other times"
    return ""


def _results(first: Run, other: Run, left: Rows, right: Rows) -> tuple[Flags, Flags]:
    """Which pairs have a result in both runs, and in which it is the same, by the results' own kind.

    With another seed other clips are sampled, so that the results tell nothing.
    """
    kind = _kind(first)
    if kind is None or kind != _kind(other) or first.args.get("seed") != other.args.get("seed"):
        return np.zeros(len(left), dtype=bool), np.zeros(len(left), dtype=bool)
    if kind is ClassResult:
        return _classes(first.requests["label"][left], other.requests["label"][right])
    return _agreements(kind, first, other, first.requests["request_id"][left].tolist())


def _kind(run: Run) -> type[ResultKind] | None:
    """None where its code is not to be had here."""
    if run.meta.result_kind is None:
        return ClassResult
    module, _, name = run.meta.result_kind.rpartition(".")
    try:
        kind: type[ResultKind] = getattr(importlib.import_module(module), name)
    except Exception:  # importing runs whatever the module does
        return None
    return kind


def _classes(first: NDArray[np.int32], other: NDArray[np.int32]) -> tuple[Flags, Flags]:
    has_result = (first >= 0) & (other >= 0)
    return has_result, has_result & (first == other)


def _agreements(kind: type[ResultKind], first: Run, other: Run, ids: list[int]) -> tuple[Flags, Flags]:
    has_result = np.array([id in first.results and id in other.results for id in ids], dtype=bool)
    agrees = has_result.copy()
    for row in np.flatnonzero(has_result).tolist():
        agrees[row] = kind.agree(first.results[ids[row]], other.results[ids[row]])
    return has_result, agrees
