"""Little's law, L = λW: a check that timestamps, window and counts agree, and that the system was
stationary.

Little, *A proof for the queuing formula L = λW*, Operations Research 9(3), 1961; for a finite stretch of
time, Little, *Little's law as viewed on its 50th anniversary*, Operations Research 59(3), 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnb.analysis.queue_depth import in_system
from rnb.record.run import Run


@dataclass(frozen=True, kw_only=True)
class LittlesLaw:
    num_in_system: float
    """L: the mean over time, by integration."""
    arrivals_per_s: float
    """λ: of the requests that were due in that time."""
    mean_latency_ms: float
    """W: of those of them that finished."""
    relative_deviation: float
    """(L - λW) / λW. It is 0 between two moments at which nothing is in the system; else it shows who came
    before and who left after, which is little over a long time unless there get more of them."""


def littles_law(run: Run, start_s: float, end_s: float, *, only_measured: bool = False) -> LittlesLaw | None:
    """Over a stretch of the measured phase, in seconds from its start; None where nothing arrived in it.

    Requests of the warm-up that are still in the system are there too, unless it is `only_measured`.
    """
    due_s = (run.due_ns - run.window_ns[0]) / 1e9
    is_due = (due_s >= start_s) & (due_s <= end_s) & ~run.ended_as("refused")
    if only_measured:
        is_due &= run.is_measured
    is_finished = is_due & run.ended_as("finished")
    if end_s <= start_s or not is_finished.any():
        return None
    arrivals_per_s = float(np.count_nonzero(is_due)) / (end_s - start_s)
    mean_latency_ms = float(run.latency_ms[is_finished].mean())
    mean = float(in_system(run, only_measured=only_measured).means(np.array([start_s, end_s]))[0])
    expected = arrivals_per_s * mean_latency_ms / 1000
    return LittlesLaw(
        num_in_system=mean,
        arrivals_per_s=arrivals_per_s,
        mean_latency_ms=mean_latency_ms,
        relative_deviation=(mean - expected) / expected if expected else 0.0,
    )
