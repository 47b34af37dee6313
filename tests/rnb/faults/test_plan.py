"""Faults against the plan and the schedule of a run."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.contract.termination import UsageError
from rnb.faults.plan import PlannedFault, describe_faults, plan_faults
from rnb.load.schedule import Schedule
from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import Plan, PlanOptions, make_plan
from rnb.processes.slowness import Slowdown
from tests.support.played import NOTHING


def plan_of(mode: str = "cpu") -> Plan:
    config = parse_config([NOTHING, {**NOTHING, "gpus": [1, 0]}])
    return make_plan(config, PlanOptions(mode=mode, queue_capacity=5))


def planned(*faults: str, gap_s: float = 0.1, plan: Plan | None = None) -> list[PlannedFault]:
    """In a run with 101 requests, by default from 0 s to 10 s."""
    arrivals_ns = (np.arange(101) * gap_s * 1e9).astype(np.int64)
    schedule = Schedule(arrivals_ns=arrivals_ns, num_warmup=0, payload_of=np.zeros(101, np.int64))
    return plan_faults(faults, plan or plan_of(), schedule)


def test_times_are_seconds_or_when_so_many_requests_are_due() -> None:
    times = [(one.start_ns / 1e9, one.end_ns) for one in planned("cpu:1@2.5s", "cpu:1@50%-9s", "cpu:1@100%")]
    assert times == [(2.5, None), (5.0, 9_000_000_000), (10.0, None)]
    (stall,) = planned("stall:step0*2s@1s")
    assert (stall.start_ns, stall.end_ns) == (1_000_000_000, 3_000_000_000)


def test_whom_it_meets() -> None:
    names = [
        [replica.name for replica in one.replicas]
        for one in planned("kill:step1@1s", "kill:step1.1@1s", "slow:step1*2@1s", "slow:step1.1*2@1s")
    ]
    assert names == [["step 1.0"], ["step 1.1"], ["step 1.0", "step 1.1"], ["step 1.1"]]


def test_only_the_runners_of_a_slow_step_are_told() -> None:
    plan = plan_of()
    first, _, last = plan.replicas
    slow, stall = planned("slow:step1.1*2@1s-50%", "stall:step1.1*1s@1s", plan=plan)
    assert slow.slowdown_of(last) == Slowdown(start_ns=10**9, end_ns=5 * 10**9, factor=2.0)
    assert slow.slowdown_of(first) is None
    assert stall.slowdown_of(last) is None


def test_they_are_told_in_words() -> None:
    assert describe_faults(planned("slow:step1*1.5@50%-9s", "cpu:2@1s")) == [
        "faults:",
        "  slow:step1*1.5@50%-9s: calls of step 1.0 and step 1.1 take 1.5 times as long,"
        " from 5.000 s to 9.000 s",
        "  cpu:2@1s: 2 processes compute beside the run, from 1.000 s",
    ]
    assert describe_faults([]) == []


def test_memory_is_taken_of_the_first_gpu() -> None:
    (fault,) = planned("gpu-memory:8GB@1s", plan=plan_of("cuda"))
    assert fault.gpu == 0
    assert fault.what == "a process holds 8 GB of GPU 0"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("kill:step2@1s", "the pipeline has steps 0 to 1"),
        ("kill:step1.2@1s", "step 1 has replicas 0 to 1"),
        ("kill:step1@10.1s", "the last request is due at 10.000 s"),
        ("cpu:1@5s-5s", "it must end after it starts"),
        ("gpu-memory:8GB@1s", "the run uses no GPU"),
        ("nothing", "a fault is KIND:WHAT@START"),
    ],
)
def test_what_cannot_be_played(fault: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(fault)
    assert str(caught.value).startswith(f"--fault {fault}: {message}")


def test_there_is_no_half_time_where_all_come_at_once() -> None:
    with pytest.raises(UsageError, match="all requests are due at once: say in seconds when, instead of 50%"):
        planned("cpu:1@50%", gap_s=0)
    assert planned("cpu:1@60s", gap_s=0)[0].start_ns == 60 * 10**9
