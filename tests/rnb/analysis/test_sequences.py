"""How long whole sequences took."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.sequences import sequence_figures
from tests.support.timed_runs import QUIET_MS, timed_run


def test_a_sequence_lasts_from_its_first_due_to_its_last_done() -> None:
    run = timed_run({event: np.full(6, duration) for event, duration in QUIET_MS.items()})
    assert sequence_figures(run) is None
    run.requests["sequence"] = np.array([0, 1, 0, 1, 2, 2])
    run.requests["status"][3] = "failed"
    figures = sequence_figures(run)
    assert figures is not None
    assert (figures.num_whole, figures.num_broken) == (2, 1)
    spans_ms = [(run.ends_ns[last] - run.due_ns[first]) / 1e6 for first, last in ((0, 2), (4, 5))]
    assert figures.mean_ms == pytest.approx(np.mean(spans_ms))
    assert figures.max_ms == max(spans_ms)


def test_a_sequence_that_began_in_the_warm_up_does_not_count() -> None:
    run = timed_run({event: np.full(4, duration) for event, duration in QUIET_MS.items()})
    run.requests["sequence"] = np.array([0, 1, 0, 1])
    run.requests["is_warmup"][0] = True
    figures = sequence_figures(run)
    assert figures is not None
    assert (figures.num_whole, figures.num_broken) == (1, 0)
