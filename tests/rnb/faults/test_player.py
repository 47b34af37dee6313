"""Faults in real runs: at their times, with what they leave in the run's folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.analysis.fault_effects import fault_effects
from rnb.analysis.reasons import Reason
from rnb.analysis.verdict import judge
from rnb.cluster.launching import LocalLauncher
from rnb.contract.events import Event, EventKind
from rnb.contract.termination import Termination, UsageError
from rnb.faults import player
from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support.leftovers import read as read_text
from tests.support.played import NOTHING, played, spec_for

LATE_S = 0.3
"""A busy machine may wake the driver so much later."""
TIMED = {"model": "models.queueing.model.Deterministic", "gpus": [0], "service_ms": 5}
KINDS = (EventKind.STARTED, EventKind.FINISHED)
STARTED, FINISHED = (Event(kind, 0) for kind in KINDS)


def play(folder: Path, *faults: str, steps: Any = (TIMED,), **load: Any) -> Run:
    load = {"mean_interval_ms": 10, "videos": 200, "arrivals": "constant", **load}
    spec = replace(spec_for(folder, steps, observe=["telemetry"], **load), faults=faults)
    kept = folder / "run"
    kept.mkdir()
    run = played(spec, folder=kept)
    assert read(kept).meta.faults == run.meta.faults
    assert run.args["fault"] == list(faults)
    return run


def span_s(run: Run, number: int = 0) -> tuple[float, float]:
    fault = run.meta.faults[number]
    assert fault.start_epoch_ns is not None
    assert fault.end_epoch_ns is not None
    return (fault.start_epoch_ns - run.start_ns) / 1e9, (fault.end_epoch_ns - run.start_ns) / 1e9


def test_replicas_on_another_node_are_met_there(tmp_path: Path) -> None:
    steps = [{**NOTHING, "gpus": ["0:-1"]}, {**TIMED, "gpus": ["1:-1"]}]
    faults = ["kill:step1@0.2s", "stall:step1*0.5s@2s", "slow:step1*3@3s"]
    spec = spec_for(tmp_path, steps, mean_interval_ms=10, videos=400, arrivals="constant")
    spec = replace(spec, faults=faults, num_nodes=2, limits=replace(spec.limits, restart=1))
    run = played(spec, cluster=LocalLauncher(2))
    assert run.meta.is_success, run.meta.message
    assert run.meta.jobs is not None
    assert run.meta.jobs.num_deaths == 1
    (killed_s, _), (stalled_s, goes_on_s), (slow_s, _) = (span_s(run, number) for number in range(3))
    assert 0.2 <= killed_s < 0.2 + LATE_S
    started_s, ended_s = ((run.times[Event(kind, 1)] - run.start_ns) / 1e9 for kind in KINDS)
    assert not np.count_nonzero((ended_s > stalled_s + LATE_S) & (ended_s < goes_on_s - 0.01))
    is_slow = started_s > slow_s + 0.01
    assert is_slow.any()
    assert ((ended_s - started_s)[is_slow] > 2.9 * 0.005).all()


def test_a_runner_that_stands_still_serves_nobody(tmp_path: Path) -> None:
    run = play(tmp_path, "stall:step0*0.5s@0.5s")
    assert run.meta.is_success, run.meta.message
    start_s, end_s = span_s(run)
    assert 0.5 <= start_s < 0.5 + LATE_S
    assert 1.0 <= end_s < 1.0 + LATE_S
    ends_s = (run.times[FINISHED] - run.start_ns) / 1e9
    assert not np.count_nonzero((ends_s > start_s + 0.05) & (ends_s < end_s - 0.01))
    (effect,) = fault_effects(run)
    _, during, _ = effect.parts
    assert during.latency.mean_ms is not None
    assert during.latency.mean_ms > 1000 * (end_s - start_s) / 3
    assert judge(run).headline.partition(":")[0].endswith(", with faults")


def test_a_runner_that_is_killed_ends_the_run(tmp_path: Path) -> None:
    run = play(tmp_path, "kill:step1.1@0.5s", steps=(TIMED, {**NOTHING, "gpus": [0, 0]}))
    assert run.meta.termination == Termination.PROCESS_FAILED.name
    assert span_s(run)[0] == span_s(run)[1] >= 0.5
    (found,) = judge(run).findings
    assert found.reason is Reason.PROCESS_FAILED
    assert found.seen.startswith("step 1.1 (pid ")
    assert " was killed by SIGKILL, after " in found.seen
    (effect,) = fault_effects(run)
    assert effect.parts[-1].num_lost > 50


def test_the_calls_of_a_slow_step_take_longer_from_half_time_on(tmp_path: Path) -> None:
    run = play(tmp_path, "slow:step0*1.6@50%")
    assert run.meta.is_success, run.meta.message
    assert span_s(run)[0] == pytest.approx(1.0, abs=LATE_S)
    calls_ms = (run.times[FINISHED] - run.times[STARTED]) / 1e6
    started_s = (run.times[STARTED] - run.start_ns) / 1e9
    due_s = run.requests["arrival_ns"][100] / 1e9
    assert calls_ms[started_s > due_s + 0.001].min() >= 1.6 * 5
    assert np.median(calls_ms[started_s < due_s]) < 1.6 * 5


def test_processes_that_compute_are_other_load(tmp_path: Path) -> None:
    num_hogs = 3 * len(os.sched_getaffinity(0))
    run = play(tmp_path, f"cpu:{num_hogs}@50%", videos=400)
    assert run.meta.is_success, run.meta.message
    load = next(finding for finding in judge(run).findings if finding.reason is Reason.OTHER_LOAD)
    assert load.seen.startswith("others took up to ")
    assert span_s(run)[1] == pytest.approx((run.end_ns - run.start_ns) / 1e9, abs=LATE_S)
    assert "fault cpu" not in {read_text(f"/proc/{pid}/comm").strip() for pid in children()}


def children() -> list[str]:
    return [
        pid
        for pid in os.listdir("/proc")
        if pid.isdecimal() and f"PPid:\t{os.getpid()}\n" in read_text(f"/proc/{pid}/status")
    ]


def test_several_and_one_whose_time_never_comes(tmp_path: Path) -> None:
    run = play(tmp_path, "cpu:1@0.1s-0.2s", "stall:step0*9s@600s", mean_interval_ms=0, videos=100)
    assert run.meta.is_success, run.meta.message
    start_s, end_s = span_s(run)
    assert 0.1 <= start_s < end_s < 0.2 + LATE_S
    assert (run.meta.faults[1].start_epoch_ns, run.meta.faults[1].end_epoch_ns) == (None, None)


def test_a_run_in_which_all_stand_still_can_be_ended(tmp_path: Path) -> None:
    """Whoever stands still goes on when the run is over, so that it ends by itself."""
    run = play(tmp_path, "stall:step0*60s@0.1s", "kill:step1@0.4s", steps=(TIMED, NOTHING))
    assert run.meta.termination == Termination.PROCESS_FAILED.name
    assert span_s(run)[1] < 30


def test_a_process_that_cannot_do_its_work_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "helper.py"
    helper.write_text("print('ready', flush=True); input(); raise MemoryError('no memory is left')")
    monkeypatch.setattr(player, "HELPER", helper)
    run = play(tmp_path, "cpu:1@0.1s")
    assert run.meta.faults[0].problem == "its process failed: MemoryError: no memory is left"


def test_a_process_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "helper.py"
    helper.write_text("raise ImportError('no torch')")
    monkeypatch.setattr(player, "HELPER", helper)
    with pytest.raises(UsageError) as caught:
        play(tmp_path, "cpu:1@0.1s")
    assert str(caught.value) == "--fault cpu:1@0.1s: its process did not start: ImportError: no torch"


def test_with_restart_the_heir_of_a_killed_runner_is_killed_in_its_turn(tmp_path: Path) -> None:
    load = {"mean_interval_ms": 10, "videos": 350, "arrivals": "constant"}
    spec = spec_for(tmp_path, [TIMED], observe=["telemetry"], **load)
    faults, limits = ("kill:step0@0.3s", "kill:step0@2.5s"), replace(spec.limits, restart=2)
    run = played(replace(spec, faults=faults, limits=limits))
    assert run.meta.is_success, run.meta.message
    died = run.tables["events"]["event"] == "died"
    assert np.count_nonzero(died) == 2
    assert len(set(run.tables["events"]["pid"][died])) == 2
    assert judge(run).notes[1].startswith("2 processes of replicas died")
