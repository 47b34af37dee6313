"""The figures that are compared."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.figures import FIGURES, FINISHED, GOODPUT, THROUGHPUT, Figure, figures_of
from rnb.contract.events import DUE, END_TO_END, Event, EventKind, Stage, StageKind
from rnb.record.run import Run
from tests.support.simulated_runs import simulate


def run() -> Run:
    return simulate(num_requests=1000, has_telemetry=False, flags={"slo": 20.0})


def test_they_are_those_of_the_measured_requests_that_finished() -> None:
    made = run()
    made.requests["is_warmup"] = np.arange(1000) < 100
    made.requests["status"][200:250] = "failed"
    counts = made.is_measured & (made.requests["status"] == "finished")
    latencies_ms = (made.ends_ns - made.times[DUE])[counts] / 1e6
    found = figures_of(made)
    assert found[FINISHED] == 850
    assert found[THROUGHPUT] == pytest.approx(850 / made.seconds)
    assert found[GOODPUT] == pytest.approx(np.count_nonzero(latencies_ms <= 20) / made.seconds)
    assert found[FIGURES["mean"]] == pytest.approx(latencies_ms.mean())
    assert found[FIGURES["p99"]] == pytest.approx(np.sort(latencies_ms)[841])  # of 850: rank 842
    assert found[FIGURES["p99.9"]] is None
    started, done = made.times[Event(EventKind.STARTED, 1)], made.times[Event(EventKind.FINISHED, 1)]
    calls_ms = (done - started)[counts] / 1e6
    assert found[Figure("mean ms", Stage(StageKind.CALL, 1))] == pytest.approx(calls_ms.mean())


def test_without_a_bound_there_is_no_goodput() -> None:
    made = run()
    made.args["slo"] = None
    assert GOODPUT not in figures_of(made)


def test_a_run_in_which_nothing_finished() -> None:
    made = run()
    made.requests["status"][:] = "failed"
    found = figures_of(made)
    assert (found[FINISHED], found[FIGURES["mean"]], found[FIGURES["p50"]]) == (0, None, None)
    assert Figure("mean ms", Stage(StageKind.CALL, 0)) not in found


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        (Stage(StageKind.CALL, 1), "step 1 Network mean ms"),
        (Stage(StageKind.CALL, 2), "step 2 mean ms"),
        (Stage(StageKind.WAIT, 1), "wait for step 1 mean ms"),
        (END_TO_END, "end to end mean ms"),
    ],
)
def test_a_step_has_its_name_where_the_runs_agree_on_it(stage: Stage, named: str) -> None:
    assert Figure("mean ms", stage).title(["Loader", "Network"]) == named


def test_a_step_goes_by_its_number_where_they_do_not() -> None:
    assert Figure("mean ms", Stage(StageKind.CALL, 1)).title() == "step 1 mean ms"
