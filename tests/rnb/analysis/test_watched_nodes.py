"""The verdict on a run over several nodes, from what each saw of its machine."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.reasons import Reason
from rnb.analysis.summary import summarize
from rnb.analysis.verdict import Judgement, judge
from rnb.record.run import Run
from tests.support.run_over_nodes import run_over, watch
from tests.support.timed_runs import NUM_CPUS, quiet_cpus


def seen_of(run: Run, reason: Reason) -> str:
    (found,) = judge(run).grounds
    assert found.reason is reason
    return found.seen


def test_quiet_nodes_are_valid() -> None:
    assert judge(run_over(5, 5)).judgement is Judgement.VALID


def test_others_on_one_node_make_it_invalid() -> None:
    run = run_over(5, 5)
    loads = {0: 0.0, 1: 70.0, 2: 15.0}
    watch(run, {node: quiet_cpus(run.end_ns, (load,)) for node, load in loads.items()})
    assert seen_of(run, Reason.OTHER_LOAD) == (
        "others took up to 70% of the CPUs of node 1 (70% on average) for 1.0 s; 25% may be: hog1 (pid 71)"
    )
    assert [node.others for node in summarize(run).nodes] == pytest.approx([0, 0.7, 0.15], abs=0.01)


def test_a_node_that_was_not_watched_is_not_judged() -> None:
    run = run_over(5, 5)
    watch(run, {0: quiet_cpus(run.end_ns), 2: quiet_cpus(run.end_ns)})
    assert judge(run).judgement is Judgement.NOT_JUDGED
    assert "no telemetry on node 1 that tells" in seen_of(run, Reason.MACHINE_UNWATCHED)


def test_nodes_that_are_one_machine_are_not_others_to_each_other() -> None:
    """Each uses one of four CPUs, and sees all that both do, at other times than the other."""
    run = run_over(5)
    for key in ("boot_id", "cpu_affinity"):
        run.meta.nodes[1]["provenance"][key] = run.meta.provenance[key]
    tables = {node: quiet_cpus(run.end_ns) for node in (0, 1)}
    tables[1]["time_ns"] += 70_000_000
    for table in tables.values():
        table["cpu.percent"] = table["cpu.percent"] + 100.0 / NUM_CPUS
    watch(run, tables)
    assert judge(run).judgement is Judgement.VALID
    run.meta.nodes[1]["provenance"]["cpu_affinity"] = [8, 9, 10, 11]
    assert "others took up to 25% of the CPUs of node 0" in judge(run).notes[0]


def test_processes_of_another_node_of_the_machine_are_not_named() -> None:
    run = run_over(5)
    node = run.meta.nodes[1]["provenance"]
    node |= {"boot_id": run.meta.provenance["boot_id"], "pids": {"agent": 70}}
    run.meta.provenance["other_processes"].append({"name": "stress", "pid": 7})
    watch(run, {0: quiet_cpus(run.end_ns, (90.0,)), 1: quiet_cpus(run.end_ns)})
    assert seen_of(run, Reason.OTHER_LOAD).endswith("25% may be: stress (pid 7)")


def test_a_gpu_of_another_node_that_slows_down() -> None:
    run = run_over(5)
    table = quiet_cpus(run.end_ns)
    table["gpu3.throttle_reasons"] = np.full(len(table["time_ns"]), float(0x40))
    table["gpu3.sm_clock_mhz"] = np.full(len(table["time_ns"]), 1980.0)
    table["gpu3.sm_percent"] = np.full(len(table["time_ns"]), 90.0)
    watch(run, {0: quiet_cpus(run.end_ns), 1: table})
    assert "gpu3 of node 1 in 100% of the samples" in seen_of(run, Reason.CLOCKS_THROTTLED)
