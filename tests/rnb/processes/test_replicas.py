"""When workers look often at their queues instead of sleeping, who goes first, and what processes import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.processes.bridges import Meeting
from rnb.processes.replicas import (
    CPU_NICENESS,
    IMPORTED,
    IMPORTED_ON_GPUS,
    POLLING_S,
    imported,
    niceness,
    num_sequences,
    polling_s,
    share_of_cpus,
    threads_per_worker,
)
from tests.support.running import ROOT


def test_workers_look_often_for_messages_only_where_each_has_a_core() -> None:
    tiny = "tests.support.tiny_steps"
    config = [
        {"model": f"{tiny}.Load", "gpus": [0, 0]},
        {"model": f"{tiny}.Classify", "gpus": [0], "workers": 3},
    ]
    plan = make_plan(parse_config(config), PlanOptions(mode="cpu"))
    num_workers = sum(replica.workers for replica in plan.replicas)
    assert polling_s(num_workers, num_clients=2, num_cpus=8) == POLLING_S
    assert polling_s(num_workers, num_clients=2, num_cpus=7) == 0


def test_nodes_on_one_machine_share_its_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of four would think that every worker of all has a core to itself."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    meeting = Meeting(token=b"", hosts=["10.0.0.1", "10.0.0.2", "10.0.0.1"], carrier="tcp")
    assert [share_of_cpus(meeting.num_nodes_beside(node)) for node in range(3)] == [32, 64, 32]
    assert share_of_cpus(100) == 1


def test_workers_on_the_cpu_share_a_nodes_cpus() -> None:
    config = [{"model": "models.nothing.model.Nothing", "gpus": [-1, -1], "workers": 2}]
    plan = make_plan(parse_config(config), PlanOptions(mode="cpu"))
    assert [threads_per_worker(plan, num_cpus=count) for count in (1, 8, 16)] == [1, 2, 4]


def test_sequences_are_shared_out_among_the_workers_of_a_step() -> None:
    tiny = "tests.support.tiny_steps"
    config = [{"model": f"{tiny}.Load", "gpus": [-1] * 3}, {"model": f"{tiny}.Classify", "gpus": [-1]}]
    plan = make_plan(parse_config(config), PlanOptions(mode="cpu"))
    assert [num_sequences(plan, replica, 20) for replica in plan.replicas] == [7, 7, 7, 20]
    assert num_sequences(plan, plan.replicas[0], 0) == 0


def test_replicas_on_the_cpu_let_those_that_feed_a_gpu_go_first() -> None:
    tiny = "tests.support.tiny_steps"
    config = [{"model": f"{tiny}.Load", "gpus": [0, -1]}, {"model": f"{tiny}.Classify", "gpus": [0]}]
    plan = make_plan(parse_config(config), PlanOptions(mode="cuda"))
    assert [niceness(plan, replica) for replica in plan.replicas] == [0, CPU_NICENESS, 0]
    plan = make_plan(parse_config(config), PlanOptions(mode="cpu"))
    assert [niceness(plan, replica) for replica in plan.replicas] == [0, 0, 0]


def test_replicas_that_only_hand_on_go_first() -> None:
    config = [
        {"model": "models.r2p1d.sizer.R2P1DSizer", "gpus": [-1]},
        {"model": "models.r2p1d.model.R2P1DLoader", "gpus": [-1]},
        {"model": "models.r2p1d.model.R2P1DRunner", "gpus": [0]},
    ]
    plan = make_plan(parse_config(config), PlanOptions(mode="cuda"))
    assert [niceness(plan, replica) for replica in plan.replicas] == [0, CPU_NICENESS, 0]


def test_processes_are_forked_with_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config([{"model": "models.nothing.model.Nothing", "gpus": [0]}])
    tensors = parse_config(
        [{"model": f"tests.support.tiny_steps.{name}", "gpus": [-1]} for name in ("Load", "Classify")]
    )
    alone, joined = (make_plan(one, PlanOptions(mode="cpu")) for one in (config, tensors))
    assert imported(alone) == (*IMPORTED, "torch"), "a step may be what has imported it here"
    monkeypatch.delitem(sys.modules, "torch")
    assert imported(alone) == IMPORTED
    single = parse_config([{"model": "models.r2p1d.model.R2P1DSingleStep", "gpus": [-1]}])
    assert imported(make_plan(single, PlanOptions(mode="cpu"))) == (*IMPORTED, "torch")
    assert imported(joined) == (*IMPORTED, "torch")
    assert imported(make_plan(config, PlanOptions(mode="cuda"))) == IMPORTED_ON_GPUS


def test_what_processes_on_gpus_have_imported_survives_a_fork() -> None:
    """No thread but those of OpenBLAS, which it starts anew, and of NVIDIA's driver nothing."""
    code = """
import os
from importlib.util import find_spec
from rnb.processes.replicas import IMPORTED_ON_GPUS
for name in IMPORTED_ON_GPUS:
    if find_spec(name):
        __import__(name)
links = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
print(len(os.listdir("/proc/self/task")), sum("nvidia" in link for link in links))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert result.stdout.split() == ["1", "0"]
