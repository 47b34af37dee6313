"""Little's law, L = λW: a check that timestamps, window and counts agree, and that the system was
stationary.

Little, *A proof for the queuing formula L = λW*, Operations Research 9(3), 1961; for a finite stretch of
time, Little, *Little's law as viewed on its 50th anniversary*, Operations Research 59(3), 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnb.analysis.events import arrivals_ns
from rnb.analysis.queue_depth import in_system
from rnb.run_folder import Run


@dataclass(frozen=True, kw_only=True)
class LittlesLaw:
    num_in_system: float
    """L: the mean over time, by integration."""
    arrivals_per_s: float
    """λ: of the requests that were due in that time."""
    mean_latency_ms: float
    """W: of those of them that finished."""
    relative_deviation: float
    """(L - λW) / λW. Over a whole run in which everything finishes it is 0; over a part of one it shows
    whether more were in the system at its end than at its start."""


def littles_law(run: Run, start_s: float, end_s: float) -> LittlesLaw | None:
    """Over a stretch of the measured phase, in seconds from its start; None where nothing arrived in it.

    So it is None for a bulk run with a warm-up, of which the requests are due before the measured phase.
    """
    due_s = (arrivals_ns(run) - run.window_ns[0]) / 1e9
    is_due = (due_s >= start_s) & (due_s <= end_s) & (run.requests["status"] != "refused")
    is_finished = is_due & (run.requests["status"] == "finished")
    if end_s <= start_s or not is_finished.any():
        return None
    arrivals_per_s = float(np.count_nonzero(is_due)) / (end_s - start_s)
    latency_s = float(((run.ends_ns - arrivals_ns(run))[is_finished] / 1e9).mean())
    mean = float(in_system(run).means(np.array([start_s, end_s]))[0])
    expected = arrivals_per_s * latency_s
    return LittlesLaw(
        num_in_system=mean,
        arrivals_per_s=arrivals_per_s,
        mean_latency_ms=latency_s * 1000,
        relative_deviation=(mean - expected) / expected if expected else 0.0,
    )
