"""What every run says of where it took place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnb.observe.machine import MachineObserver
from rnb.observe.observer import End, Seen, Start, Watched
from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.transport.local.fabric import LocalFabric
from tests.support.fake_nvml import FakeGpu, install
from tests.support.played import NOTHING

START, END = (
    Start(pids={}, facts={}, told={}),
    End(start_ns=0, time_ns=1, is_complete=True, told={}),
)


def watching(folder: Path) -> MachineObserver:
    fabric, plan = LocalFabric(), make_plan(parse_config([NOTHING]), PlanOptions(mode="cpu"))
    video = folder / "a.mp4"
    video.write_bytes(b"video")
    observer = MachineObserver()
    observer.prepare(
        Watched(
            plan=plan,
            table=fabric.table(num_requests=1, events=plan.events),
            queues=(),
            payloads=[str(video), str(video)],
            data=str(folder),
            num_warmup=0,
            clock=fabric.clock,
        )
    )
    return observer


def test_the_gpus_at_both_ends_and_the_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu()])
    observer = watching(tmp_path)
    observer.start(START)
    assert observer.stop(END) == Seen(), "it leaves no table; its facts are of every run"
    facts = observer.facts()
    assert json.loads(json.dumps(facts)) == facts
    (gpu,) = facts["gpus"]
    assert [gpu[when]["sm_clock_mhz"] for when in ("at_start", "at_end")] == [1980, 1980]
    assert (facts["inputs"]["num_files"], facts["inputs"]["num_bytes"]) == (1, 5)


def test_of_a_run_that_never_started_there_are_no_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeGpu()])
    facts = watching(tmp_path).facts()
    (gpu,) = facts["gpus"]
    assert not {"at_start", "at_end"} & set(gpu)
    assert facts["inputs"]["num_files"] == 1
