"""The part of a run whose figures count: all of it, or what follows a start that was not yet steady."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnb.analysis.steady_state import SteadyState, is_bulk
from rnb.record.run import Run


def steady_part(run: Run, steady: SteadyState) -> Run:
    """The same run, in which the requests before the cut count as warm-up; the run itself without a cut.

    Those are the requests that were due before it; of a bulk run, those that were done.
    """
    if not steady.is_cut or steady.start_s is None:
        return run
    cut_ns = run.window_ns[0] + round(1e9 * steady.start_s)
    is_before = (run.ends_ns if is_bulk(run) else run.due_ns) < cut_ns
    is_warmup = run.requests["is_warmup"].astype(bool) | np.asarray(is_before)
    return replace(run, requests={**run.requests, "is_warmup": is_warmup})
