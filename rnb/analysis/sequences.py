"""How long whole sequences took: from when the first of their requests was due until the last was done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnb.analysis.statistics import describe
from rnb.contract.events import END_TO_END
from rnb.record.run import SEQUENCE, Run


@dataclass(frozen=True, kw_only=True)
class SequenceFigures:
    """Of the sequences all of whose requests count."""

    num_whole: int
    """All of their requests finished."""
    num_broken: int
    """A request of theirs failed, was refused, or never ended."""
    mean_ms: float | None
    percentiles_ms: dict[str, float | None]
    """Of the whole ones, by 'p50' …; None where there are too few for the percentile."""
    max_ms: float | None


def sequence_figures(run: Run) -> SequenceFigures | None:
    """None for a run without sequences."""
    if SEQUENCE not in run.requests:
        return None
    numbers, counts = np.unique(run.requests[SEQUENCE], return_inverse=True)
    size = len(numbers)
    has_all = ~np.bincount(counts, weights=~run.is_measured, minlength=size).astype(bool)
    is_broken = np.bincount(counts, weights=~run.ended_as("finished"), minlength=size).astype(bool)
    first_ns = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(first_ns, counts, run.due_ns)
    last_ns = np.zeros(size, dtype=np.int64)
    np.maximum.at(last_ns, counts, run.ends_ns)
    whole = has_all & ~is_broken
    durations = describe(END_TO_END, ((last_ns - first_ns) / 1e6)[whole])
    return SequenceFigures(
        num_whole=int(whole.sum()),
        num_broken=int((has_all & is_broken).sum()),
        mean_ms=durations.mean_ms,
        percentiles_ms=durations.percentiles_ms,
        max_ms=durations.max_ms,
    )
