"""The figures that are compared."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.figures import GOODPUT, THROUGHPUT, figures_of, named_row
from rnb.run_folder import Run
from tests.support.simulated_runs import simulate


def run() -> Run:
    return simulate(num_requests=1000, has_telemetry=False, flags={"slo": 20.0})


def test_they_are_those_of_the_measured_requests_that_finished() -> None:
    made = run()
    made.requests["is_warmup"] = np.arange(1000) < 100
    made.requests["status"][200:250] = "failed"
    counts = made.is_measured & (made.requests["status"] == "finished")
    latencies_ms = (made.ends_ns - made.times["scheduled"])[counts] / 1e6
    found = figures_of(made)
    assert found["finished"] == 850
    assert found[THROUGHPUT] == pytest.approx(850 / made.seconds)
    assert found[GOODPUT] == pytest.approx(np.count_nonzero(latencies_ms <= 20) / made.seconds)
    assert found["end to end mean ms"] == pytest.approx(latencies_ms.mean())
    assert found["end to end p99 ms"] == pytest.approx(np.sort(latencies_ms)[841])  # of 850: rank 842
    assert found["end to end p99.9 ms"] is None
    assert found["step 1 mean ms"] == pytest.approx(
        ((made.times["inference1_finish"] - made.times["inference1_start"])[counts] / 1e6).mean()
    )


def test_without_a_bound_there_is_no_goodput() -> None:
    made = run()
    made.args["slo"] = None
    assert GOODPUT not in figures_of(made)


def test_a_run_in_which_nothing_finished() -> None:
    made = run()
    made.requests["status"][:] = "failed"
    found = figures_of(made)
    assert (found["finished"], found["end to end mean ms"], found["end to end p50 ms"]) == (0, None, None)
    assert "step 0 mean ms" not in found


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("step 1 mean ms", "step 1 Network mean ms"),
        ("step 2 mean ms", "step 2 mean ms"),
        ("wait for step 1 mean ms", "wait for step 1 mean ms"),
    ],
)
def test_a_step_has_its_name_where_the_runs_agree_on_it(row: str, named: str) -> None:
    assert named_row(row, ["Loader", "Network"]) == named
