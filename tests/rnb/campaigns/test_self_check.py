"""The self-check: against ideal queues, and against queues that theory does not describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.campaigns.self_check import (
    CASES,
    NUM_WARMUP,
    Case,
    SelfCheckError,
    compare,
    measure_overhead,
    play,
)
from rnb.contract import Context
from rnb.home import HOME
from rnb.load.arrivals import ArrivalProcess
from rnb.pipeline.config import StepConfig, read_config
from rnb.pipeline.step_type import resolve
from rnb.record.run import Run
from rnb.spec import plan_of, schedule_of
from tests.support.ideal_queue import serve
from tests.support.simulated_campaigns import SimulatedPlayer
from tests.support.timed_runs import timed_run

IDS = [case.name for case in CASES]


def arrivals_of(case: Case) -> NDArray[np.float64]:
    load = ArrivalProcess(mean_interval_ms=case.mean_interval_ms, seed=case.seed)
    return load.draw(NUM_WARMUP + case.num_requests) / 1e6


def step_of(case: Case) -> StepConfig:
    (step,) = read_config(HOME / "config" / case.config).pipeline().pipeline
    return step


def played(
    case: Case, *, hop_ms: float = 0, turnaround_ms: float = 0, arrivals_ms: NDArray[np.float64] | None = None
) -> Run:
    """What a run of the case gives where the harness costs just that."""
    arrivals_ms = arrivals_of(case) if arrivals_ms is None else arrivals_ms
    step = step_of(case)
    options = {"seed": case.seed, **step.options} if case.is_exponential else step.options
    timed: Any = resolve(step.model).make(options, Context())
    services_ms = np.array([timed.service_ms(request) for request in range(len(arrivals_ms))])
    waits_ms, servers = serve(arrivals_ms + hop_ms, (services_ms + turnaround_ms).tolist(), case.num_servers)
    nothing = np.zeros(len(arrivals_ms))
    return timed_run(
        {
            "enqueue_filename": nothing,
            "runner0_start": hop_ms + waits_ms,
            "inference0_start": nothing,
            "inference0_finish": services_ms,
        },
        arrivals_ms=arrivals_ms,
        columns={
            "is_warmup": np.arange(len(arrivals_ms)) < NUM_WARMUP,
            "score": services_ms,
            "replica0": servers,
            "worker0": np.zeros(len(arrivals_ms), dtype=np.int32),
        },
    )


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_case_is_what_its_config_says(case: Case) -> None:
    step = step_of(case)
    (group,) = step.queue_groups
    assert len(group.gpus) == case.num_servers
    assert list(step.options.values()) == [case.service_ms]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_an_ideal_harness_agrees_with_theory(case: Case) -> None:
    outcome = compare(case, played(case))
    assert outcome.problems == []
    assert outcome.overhead.hop_ms == pytest.approx(0, abs=1e-6)
    assert outcome.overhead.turnaround_ms == pytest.approx(0, abs=1e-6)
    for row in outcome.rows:
        # The schedule of the case was chosen so.
        assert row.measured_ms == pytest.approx(row.theory_ms, rel=0.02)
        assert row.with_overhead_ms == pytest.approx(row.theory_ms)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_cost_of_the_harness_is_measured_and_allowed_for(case: Case) -> None:
    run = played(case, hop_ms=0.4, turnaround_ms=0.3)
    overhead = measure_overhead(run, case.num_servers)
    assert overhead.hop_ms == pytest.approx(0.4, abs=0.05)
    assert overhead.turnaround_ms == pytest.approx(0.3, abs=0.05)
    outcome = compare(case, run)
    assert outcome.problems == []
    for row in outcome.rows:
        assert row.theory_ms < row.measured_ms < 1.1 * row.with_overhead_ms


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize(
    ("hop_ms", "turnaround_ms", "problem"),
    [
        (2.0, 0.0, "a free server takes a request after 2.0"),
        (0.0, 1.5, "a server loses between requests 1.5"),
    ],
)
def test_a_slow_harness_does_not_pass(case: Case, hop_ms: float, turnaround_ms: float, problem: str) -> None:
    outcome = compare(case, played(case, hop_ms=hop_ms, turnaround_ms=turnaround_ms))
    assert outcome.rows == []
    assert outcome.problems[0].startswith(f"{case.name}: {problem}")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_other_arrivals_than_theory_knows_do_not_pass(case: Case) -> None:
    """A client that sends at even gaps: requests wait less than after random ones."""
    load = ArrivalProcess(mean_interval_ms=case.mean_interval_ms, process="constant")
    even_ms = load.draw(NUM_WARMUP + case.num_requests) / 1e6
    outcome = compare(case, played(case, arrivals_ms=even_ms))
    assert f"{case.name} mean wait: the interval does not meet what theory says" in outcome.problems


def test_a_bursty_client_does_not_pass() -> None:
    (case, _) = CASES
    load = ArrivalProcess(
        mean_interval_ms=case.mean_interval_ms, seed=case.seed, process="gamma", burstiness=0.2
    )
    run = played(case, arrivals_ms=load.draw(NUM_WARMUP + case.num_requests) / 1e6)
    assert len(compare(case, run).problems) == 2


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_run_of_a_case(case: Case) -> None:
    spec, schedule = schedule_of(case.spec())
    assert (schedule.num_warmup, len(schedule)) == (NUM_WARMUP, NUM_WARMUP + case.num_requests)
    assert (schedule.arrivals_ns / 1e6).tolist() == pytest.approx(arrivals_of(case).tolist())
    assert len(plan_of(spec, num_requests=len(schedule)).replicas) == case.num_servers


def test_a_run_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SelfCheckError, match=r"^M/D/1: step 1\.0 was killed by SIGKILL$"):
        play(CASES[0], tmp_path, SimulatedPlayer(fails_at=1))
