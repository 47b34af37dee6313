"""What the server said of its models, as figures and as text."""

from __future__ import annotations

import numpy as np

from rnb.analysis.server_steps import server_steps
from rnb.record.tables import SERVER_STEPS
from rnb.remote.statistics import table_of
from rnb.show.text.server_text import server_text
from tests.support.timed_runs import timed_run

AFTER = {
    "whole": {
        "success_count": 4, "success_ns": 20_000_000, "queue_count": 4, "queue_ns": 8_000_000,
        "inference_count": 8, "execution_count": 2, "fail_count": 1,
    },
    "part": {},
}  # fmt: skip


def test_a_row_for_each_model() -> None:
    run = timed_run({"enqueue_filename": np.ones(3)}, tables={SERVER_STEPS: table_of({}, AFTER)})
    whole, part = server_steps(run)
    assert (whole.model, whole.requests, whole.failed, whole.inferences, whole.calls) == ("whole", 4, 1, 8, 2)
    assert (whole.total_ms, whole.queue_ms, whole.compute_infer_ms) == (5.0, 2.0, None)
    assert (part.requests, part.total_ms) == (0, None)
    lines = server_text([whole, part]).splitlines()
    assert lines[1].split() == ["whole", "4", "4.00", "5.000", "2.000", "-", "-", "-"]
    assert lines[2].split() == ["part", "0", *"------"]


def test_a_run_through_a_pipeline_has_none() -> None:
    assert server_steps(timed_run({"enqueue_filename": np.ones(3)})) == []
