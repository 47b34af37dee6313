"""`play`, called as any program may call it: in memory or into a folder, from any thread, several at once."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.contract.termination import Termination, UsageError
from rnb.observe.observer import Observer, Start
from rnb.pipeline.config import ConfigError
from rnb.play import Interruption, play
from rnb.record.run import Run
from rnb.record.run_folder import read
from rnb.spec import schedule_of
from rnb.transport.local.fabric import LocalFabric
from tests.support.played import NOTHING, played, spec_for
from tests.support.running import ROOT, tiny
from tests.support.tiny_steps import NUM_CLASSES, clips_of, expected_label

ALL_FINISHED = ["finished"] * 20


def folder_in(parent: Path, name: str = "run") -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    return folder


def fine(run: Run) -> Run:
    assert (run.meta.is_success, run.meta.message, run.traceback) == (True, "", "")
    assert run.meta.termination == "TARGET_NUM_VIDEOS_REACHED"
    assert run.requests["status"].tolist() == ALL_FINISHED
    return run


def test_in_memory_and_with_a_folder_it_is_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = spec_for(tmp_path, [tiny("Load"), tiny("Classify")], observe=["telemetry"])
    before = set(tmp_path.iterdir())
    in_memory = fine(played(spec))
    assert in_memory.folder is None
    assert set(tmp_path.iterdir()) == before, "without a folder it writes nothing"
    kept = fine(played(spec, folder=folder_in(tmp_path)))
    assert kept.folder == tmp_path / "run"
    back = read(kept.folder)
    assert back.requests["label"].tolist() == in_memory.requests["label"].tolist()
    assert back.requests["label"].tolist() == [expected_label(number) for number in range(20)]
    assert back.events == in_memory.events
    assert all(np.array_equal(back.times[event], kept.times[event]) for event in kept.events)
    assert set(in_memory.tables) == set(back.tables) == {"telemetry"}
    assert capsys.readouterr() == ("", ""), "it prints nothing"


OPEN_FILES = """
import os, sys
from pathlib import Path
from tests.support.played import NOTHING, played, spec_for

spec = spec_for(Path(sys.argv[1]), [NOTHING, NOTHING])
for _ in range(4):
    assert played(spec).meta.is_success
    print(len(os.listdir("/proc/self/fd")))
"""


def test_it_leaves_no_open_files(tmp_path: Path) -> None:
    """Where 1,024 are allowed, a campaign of some twenty runs would end without. In a process of its own, in
    which nobody else opens any."""
    command = [sys.executable, "-c", OPEN_FILES, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    nums_open = list(map(int, result.stdout.split()))
    assert len(nums_open) == 4
    assert max(nums_open[1:]) <= nums_open[0]


def test_classes_that_have_names_are_kept_by_name(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [tiny("Load", fail_every=7), tiny("ClassifyByName")], videos=60)
    run = played(spec, folder=folder_in(tmp_path))
    labels = run.requests["label"].tolist()
    named = [f"class {label}" if 0 <= label < NUM_CLASSES - 1 else "" for label in labels]
    assert {-1, NUM_CLASSES - 1} < set(labels)
    assert run.requests["class_name"].tolist() == named
    assert run.folder is not None
    assert read(run.folder).requests["class_name"].tolist() == named
    plain = played(spec_for(tmp_path, [tiny("Load"), tiny("Classify")]))
    assert "class_name" not in plain.requests


def test_from_another_thread_and_again(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING])
    with ThreadPoolExecutor(1) as thread:
        fine(thread.submit(played, spec).result())
    fine(played(spec))


def test_two_at_the_same_time(tmp_path: Path) -> None:
    """Both are under way at once: each begins its timed part when the other has come there too."""
    folders = [folder_in(tmp_path, name) for name in ("a", "b")]
    together = threading.Barrier(2, timeout=60)

    class Waiting(Observer):
        def start(self, start: Start) -> None:
            together.wait()

    def one(folder: Path) -> Run:
        spec = spec_for(folder, [NOTHING, {**NOTHING, "gpus": [0, 1]}], observe=["telemetry"])
        return played(spec, folder=folder, observers=[Waiting()])

    with ThreadPoolExecutor(2) as threads:
        runs = list(threads.map(one, folders))
    for run, folder in zip(runs, folders, strict=True):
        fine(run)
        assert read(folder).requests["video"][0] == str(folder / "videos" / "0.mp4")
    pids = [{replica["pid"] for replica in run.meta.replicas} for run in runs]
    assert not pids[0] & pids[1]


def interrupted(spec: Any, when: Callable[[Interruption], None], **changes: Any) -> tuple[Run, float]:
    """The run, and how long it took to end."""
    interruption, set_at = Interruption(), list[float]()

    def wait_and_set() -> None:
        when(interruption)
        set_at.append(time.monotonic())
        interruption.set()

    thread = threading.Thread(target=wait_and_set)
    thread.start()
    run = played(spec, interruption=interruption, **changes)
    ended_at = time.monotonic()
    thread.join()
    return run, ended_at - set_at[0]


def test_an_interruption_from_outside(tmp_path: Path) -> None:
    begun = threading.Event()

    class Telling(Observer):
        def start(self, start: Start) -> None:
            begun.set()

    spec = spec_for(tmp_path, [NOTHING], mean_interval_ms=20, videos=100_000)
    folder = folder_in(tmp_path)
    run, seconds = interrupted(
        spec, lambda _: time.sleep(0.5 * begun.wait(60)), folder=folder, observers=[Telling()]
    )
    assert seconds < 8
    for found in (run, read(folder)):
        assert not found.meta.is_success
        assert found.meta.message == "interrupted"
        assert found.meta.termination_flag == Termination.INTERRUPTED
        assert found.meta.termination == "INTERRUPTED"
        assert "finished" in found.requests["status"]
        assert "unfinished" in found.requests["status"]


def test_an_interruption_before_the_start(tmp_path: Path) -> None:
    run, seconds = interrupted(spec_for(tmp_path, [tiny("Misbehave", how="hang")]), lambda _: time.sleep(1))
    assert seconds < 15
    assert (run.meta.start_epoch_ns, run.meta.message) == (None, "interrupted")


def test_a_step_that_fails(tmp_path: Path) -> None:
    run = played(spec_for(tmp_path, [tiny("Misbehave", at_request=5)]))
    assert not run.meta.is_success
    assert run.meta.message == "step 0.0 failed: ArithmeticError: this step fails on purpose"
    assert run.meta.termination == "PROCESS_FAILED"
    assert run.traceback.startswith("Traceback (most recent call last)")
    assert "in _misbehave" in run.traceback
    assert run.requests["status"].tolist()[:5] == ["finished"] * 5


@pytest.mark.parametrize("result", [{"boxes": [[1, 2.5]], "name": "é", "none": None}, [1, 2], "text", 7])
def test_results_are_what_json_knows(tmp_path: Path, result: Any) -> None:
    folder = folder_in(tmp_path)
    run = fine(played(spec_for(tmp_path, [tiny("Answer", result=result)]), folder=folder))
    assert run.results == read(folder).results == dict.fromkeys(range(20), result)
    assert len((folder / "results.jsonl").read_text().splitlines()) == 20
    assert run.requests["label"].tolist() == [-1] * 20


def test_results_are_bytes(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    run = fine(played(spec_for(tmp_path, [tiny("AnswerInBytes")]), folder=folder))
    assert run.results == read(folder).results == {number: bytes([0, 255, number]) for number in range(20)}


def test_results_of_classes_need_no_file(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    run = fine(played(spec_for(tmp_path, [tiny("Load"), tiny("Classify")]), folder=folder))
    assert run.results == {}
    assert not (folder / "results.jsonl").exists()


def test_a_result_that_json_does_not_know_fails_that_request_only(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [tiny("AnswerOddly", at_request=7)])
    run = played(replace(spec, limits=replace(spec.limits, max_failures=1)))
    assert run.meta.is_success, run.meta.message
    assert run.requests["status"].tolist() == ["finished"] * 7 + ["failed"] + ["finished"] * 12
    assert run.requests["reason"][7].startswith("the result is neither bytes nor JSON: ")
    assert sorted(run.results) == [number for number in range(20) if number != 7]


@pytest.mark.parametrize("what", ["edited", "deleted"])
def test_the_config_is_the_one_that_was_read(tmp_path: Path, what: str) -> None:
    folder, spec = folder_in(tmp_path), spec_for(tmp_path, [NOTHING])
    path, original = Path(spec.config.path), Path(spec.config.path).read_text()

    class Editing(Observer):
        def start(self, start: Start) -> None:
            if what == "deleted":
                path.unlink()
            else:
                path.write_text("[]")

    run = fine(played(spec, folder=folder, observers=[Editing()]))
    assert run.config == [NOTHING]
    back = read(folder)
    assert back.config == [NOTHING]
    assert (folder / "pipeline.json").exists()
    assert original.replace(" ", "") == "".join((folder / "pipeline.json").read_text().split())


@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        ({}, [tiny("LoadTwo"), tiny("CheckTwo")]),
        ({"batch_size": 4}, [tiny("LoadTwo", num_shared_tensors=20), tiny("CheckTwo", gpus=[0, 1])]),
        (
            {"batch_size": 4},
            [
                tiny("LoadTwo", gpus=[0, 1], num_shared_tensors=4),
                {"model": "rnb.pipeline.batcher.Batcher", "gpus": [0], "num_shared_tensors": 4},
                tiny("CheckTwo"),
            ],
        ),
    ],
    ids=["one by one", "several in a call", "a batcher between"],
)
def test_tensors_of_different_types(tmp_path: Path, flags: dict[str, Any], steps: list[Any]) -> None:
    spec = spec_for(tmp_path, steps, videos=60)
    run = played(replace(spec, placement=replace(spec.placement, **flags)))
    assert run.meta.is_success, run.meta.message + run.traceback
    expected = {number: {"boxes": 2 * clips_of(number), "at": [0.5, None]} for number in range(60)}
    assert run.results == expected


def test_what_cannot_run_starts_nothing(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING], observe=["nobody"])
    settled, schedule = schedule_of(spec)
    with pytest.raises(ConfigError, match=r"^--observe: 'nobody'"):
        play(settled, schedule)


def test_a_folder_that_cannot_be_written_fails_the_run_but_keeps_it(tmp_path: Path) -> None:
    run = played(spec_for(tmp_path, [NOTHING]), folder=tmp_path / "gone")
    assert not run.meta.is_success
    assert run.meta.message.startswith("the run folder is not complete: ")
    assert run.requests["status"].tolist() == ALL_FINISHED


def test_the_arguments_are_those_of_the_run(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING], seed=5, clients=2)
    run = fine(played(spec))
    assert run.args == spec.flags()
    assert (run.args["seed"], run.args["clients"], run.args["telemetry"]) == (5, 2, False)
    assert run.meta.args_line.startswith("Namespace(arrivals='poisson', ")


class NoProcesses(LocalFabric):
    def process(self, **_: Any) -> Any:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


class NoMemory(LocalFabric):
    def queue(self, *_: Any, **__: Any) -> Any:
        raise MemoryError


@pytest.mark.parametrize(
    ("fabric", "reason"),
    [(NoProcesses, "Resource temporarily unavailable"), (NoMemory, "not enough memory")],
)
def test_what_the_machine_refuses_is_one_line(tmp_path: Path, fabric: type[LocalFabric], reason: str) -> None:
    spec, schedule = schedule_of(spec_for(tmp_path, [NOTHING]))
    with pytest.raises(UsageError, match=f"^this machine cannot start the run: {reason}$"):
        play(spec, schedule, fabric=fabric())


FORESEEN = """
import sys
from dataclasses import replace
from pathlib import Path

import rnb.play
from rnb.spec import Placement
from rnb.transport.local.fabric import LocalFabric
from tests.rnb.transport.local.test_nursery import tell_of_torch
from tests.support.played import NOTHING, spec_for

spec = spec_for(Path(sys.argv[1]), [NOTHING])
rnb.play.GPU_DRIVER = Path("/dev/null")
rnb.play.foresee(replace(spec, placement=Placement(device=sys.argv[2])))
fabric = LocalFabric(("rnb.processes.child",))
ours, theirs = fabric.pipe()
fabric.process(name="tells", target=tell_of_torch, args=(theirs,)).start()
print(ours.recv())
"""


@pytest.mark.processes
@pytest.mark.parametrize(("device", "has_torch"), [("auto", "True"), ("cpu", "False")])
def test_what_processes_on_gpus_need_is_imported_before_the_plan_is_made(
    tmp_path: Path, device: str, has_torch: str
) -> None:
    command = [sys.executable, "-c", FORESEEN, str(tmp_path), device]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    assert result.stdout.strip() == has_torch
