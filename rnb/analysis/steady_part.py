"""The part of a run that its figures are taken from."""

from __future__ import annotations

from dataclasses import replace

from rnb.analysis.steady_state import SteadyState
from rnb.record.run import Run


def steady_part(run: Run, steady: SteadyState) -> Run:
    """The same run, in which the requests due before its steady state began count as its warm-up."""
    if not steady.is_steady or not steady.start_s:
        return run
    is_before = run.due_ns < run.window_ns[0] + steady.start_s * 1e9
    return replace(run, requests={**run.requests, "is_warmup": ~run.is_measured | is_before})
