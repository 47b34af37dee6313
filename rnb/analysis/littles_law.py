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
    """λ: of the measured requests."""
    mean_latency_ms: float
    """W: of those of them that finished."""
    relative_deviation: float
    """(L - λW) / λW. It shows who came before and who left after, which is little over a long time unless
    there get more of them."""


def littles_law(run: Run) -> LittlesLaw | None:
    """From the start of the measured phase to its last arrival; None where nothing arrived over time.

    Requests of the warm-up that are still in the system are there too.
    """
    origin_ns = run.window_ns[0]
    due_s = (run.due_ns - origin_ns) / 1e9
    is_due = run.is_measured & ~run.ended_as("refused")
    is_finished = is_due & run.ended_as("finished")
    end_s = float(due_s[run.is_measured].max(initial=0.0))
    if end_s <= 0 or not is_finished.any():
        return None
    arrivals_per_s = float(np.count_nonzero(is_due)) / end_s
    mean_latency_ms = float(run.latency_ms[is_finished].mean())
    mean = float(in_system(run).means(np.array([0.0, end_s]))[0])
    expected = arrivals_per_s * mean_latency_ms / 1000
    return LittlesLaw(
        num_in_system=mean,
        arrivals_per_s=arrivals_per_s,
        mean_latency_ms=mean_latency_ms,
        relative_deviation=(mean - expected) / expected if expected else 0.0,
    )
