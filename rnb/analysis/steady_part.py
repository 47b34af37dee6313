"""The part of a run that was steady."""

from __future__ import annotations

from dataclasses import replace

from rnb.analysis.steady_state import SteadyState, is_bulk
from rnb.record.run import Run


def steady_part(run: Run, steady: SteadyState) -> Run:
    """The same run, in which requests that were due before its steady state count as warm-up.

    The run itself where that leaves out nothing.
    """
    if not steady.is_steady or not steady.start_s or is_bulk(run):
        return run
    is_before = run.due_ns < run.window_ns[0] + round(steady.start_s * 1e9)
    return replace(run, requests={**run.requests, "is_warmup": run.requests["is_warmup"] | is_before})
