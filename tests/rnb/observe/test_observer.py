"""What an observer is told of a run, in which order, and what becomes of what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.contract import Request
from rnb.observe.observer import Observer, Start, Watched
from rnb.pipeline.config import ConfigError
from rnb.pipeline.plan import Plan, PlanOptions, make_plan
from rnb.record.run_folder import read
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.message import Message
from tests.support.played import NOTHING, played, spec_for
from tests.support.running import tiny
from tests.support.tiny_observer import TinyObserver

RUNNERS = ("step 0.0", "step 1.0", "step 1.1")


def test_the_whole_life_of_an_observer(tmp_path: Path) -> None:
    folder, tiny_observer = tmp_path / "run", TinyObserver()
    folder.mkdir()
    spec = spec_for(tmp_path, [NOTHING, {**NOTHING, "gpus": [0, 1]}], mean_interval_ms=5, warmup=4)
    run = played(spec, folder=folder, observers=[tiny_observer])
    assert run.meta.is_success, run.meta.message
    order = ["probe", "prepare", "start", "begin", "look", "stop", "kill", "conclude"]
    assert tiny_observer.calls == order
    _check_what_it_was_told(tiny_observer)
    _check_its_probes(tiny_observer)
    assert {"run.json", "requests.parquet", "tiny.parquet"} <= tiny_observer.files
    for found in (run, read(folder)):
        assert found.tables["tiny"]["number"].tolist() == [0, 1, 2]
        assert found.meta.notes == ["tiny: a note"]
        assert found.meta.provenance["tiny"] == {"size": 3}
        assert found.meta.provenance["inputs"]["num_files"] == 3


def _check_what_it_was_told(found: TinyObserver) -> None:
    assert found.watched
    assert found.begun
    assert found.end
    assert found.watched.table.num_requests == 24
    assert (found.watched.num_warmup, len(found.watched.payloads)) == (4, 3)
    assert set(found.begun.pids) == {"client", *RUNNERS}
    assert {*RUNNERS} <= set(found.begun.facts)
    assert found.end.is_complete
    assert 0 < found.start_ns == found.end.start_ns < found.end.time_ns


def _check_its_probes(found: TinyObserver) -> None:
    """One in each runner, and none in the client."""
    assert found.begun
    assert found.end
    pids = {name: pid for name, pid in found.begun.pids.items() if name != "client"}
    at_start = {name: [{"name": name, "pid": pids[name]}] for name in RUNNERS}
    assert found.begun.told == at_start
    assert set(found.end.told) == {*RUNNERS}
    for name, told in found.end.told.items():
        first, last = told
        assert first["pid"] == pids[name]
        assert last == {"calls": ["prepare", "start", "stop"], "start_ns": found.end.start_ns}


def test_a_run_that_never_starts_is_killed_and_concluded(tmp_path: Path) -> None:
    folder, tiny_observer = tmp_path / "run", TinyObserver()
    folder.mkdir()
    run = played(spec_for(tmp_path, [tiny("Misbehave")]), folder=folder, observers=[tiny_observer])
    assert not run.meta.is_success
    assert tiny_observer.calls == ["probe", "prepare", "kill", "conclude"]
    assert (run.tables, run.meta.notes) == ({}, [])
    assert run.meta.provenance["python"], "the machine is described all the same"


def test_a_run_that_fails_in_the_middle_keeps_what_was_seen(tmp_path: Path) -> None:
    tiny_observer = TinyObserver()
    spec = spec_for(tmp_path, [tiny("Misbehave", at_request=10)], mean_interval_ms=5)
    run = played(spec, observers=[tiny_observer])
    assert not run.meta.is_success
    assert tiny_observer.end
    assert not tiny_observer.end.is_complete
    assert "tiny" in run.tables
    assert tiny_observer.calls[-2:] == ["stop", "kill"], "without a folder there is nothing to conclude"


def test_an_observer_that_raises_leaves_no_process_behind(tmp_path: Path) -> None:
    class Broken(TinyObserver):
        def start(self, start: Start) -> None:
            super().start(start)
            raise ArithmeticError("this observer fails on purpose")

    broken, other = Broken(), TinyObserver()
    with pytest.raises(ArithmeticError):
        played(spec_for(tmp_path, [NOTHING]), observers=[broken, other])
    assert broken.begun
    assert not [pid for pid in broken.begun.pids.values() if Path(f"/proc/{pid}").exists()]
    assert broken.calls[-1] == other.calls[-1] == "kill"


def test_an_observer_need_not_do_anything(tmp_path: Path) -> None:
    run = played(spec_for(tmp_path, [NOTHING]), observers=[Observer()])
    assert run.meta.is_success
    assert run.tables == {}


def test_what_waits_for_each_step(tmp_path: Path) -> None:
    config = spec_for(tmp_path, [tiny("Load"), tiny("Classify", gpus=[1, 1])]).config.pipeline()
    plan = make_plan(config, PlanOptions(mode="cpu"))
    watched = _watched(plan)
    for number, queue in enumerate(watched.queues, 2):
        for _ in range(number):
            queue.put(Message(None, (Request(0),), ()))
    assert watched.depths() == [2, 3]


def _watched(plan: Plan) -> Watched:
    fabric = LocalFabric()
    return Watched(
        plan=plan,
        table=fabric.table(num_requests=5, events=plan.events),
        queues=[fabric.queue(queue.name, capacity=9, num_writers=1) for queue in plan.queues],
        payloads=(),
        data="",
        num_warmup=0,
        clock=fabric.clock,
    )


def test_by_its_import_path(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING], observe=["tests.support.tiny_observer.TinyObserver"])
    assert isinstance(spec.observers()[0], TinyObserver)
    assert spec.observers()[0] is not spec.observers()[0], "each run has its own"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("telemetri", "--observe: 'telemetri'"),
        (
            "tests.support.tiny_observer.TinyObservr",
            "--observe: 'tests.support.tiny_observer.TinyObservr': module",
        ),
        ("tests.support.tiny_steps.Load", "--observe: 'tests.support.tiny_steps.Load' is not an Observer"),
    ],
)
def test_what_is_no_observer_is_one_line(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_for(tmp_path, [NOTHING], observe=[name]).observers()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
