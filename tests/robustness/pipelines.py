"""Plays pipelines drawn from seeds, and checks every request of every one."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rnb.cluster.launching import LocalLauncher
from rnb.contract.events import EventKind
from rnb.load.load import Load
from rnb.observe.observer import Observer
from rnb.pipeline.config import ConfigFile
from rnb.play import Interruption, play
from rnb.record.run import Run
from rnb.record.run_folder import read
from rnb.spec import Limits, Placement, RunSpec, schedule_of
from tests.robustness.attack import Attack, Fault, Outcome
from tests.robustness.drawn_pipeline import DrawnPipeline, draw
from tests.robustness.quick_fabric import QuickFabric
from tests.support.leftovers import mapped_inodes


class PipelineAttack(Attack):
    """A case is a pipeline with its load."""

    limit_s = 90
    long_run = 1500

    hangs_after_s: ClassVar[float] = 40
    num_nodes: ClassVar[int] = 1

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._videos = folder / "videos"
        self._videos.mkdir()
        for number in range(3):
            (self._videos / f"{number}.mp4").touch()
        self.play_first()

    def play_first(self) -> None:
        """What the first run makes and keeps is no leak."""
        self.play(0)

    def play(self, seed: int) -> Outcome:
        log = self.folder / f"{seed}.log"
        drawn = draw(seed, str(log))
        outcome = self.play_drawn(drawn, log, folder=self._run_folder(seed))
        outcome.about = f"{drawn}"
        return outcome

    def play_drawn(self, drawn: DrawnPipeline, log: Path, *, folder: Path | None = None) -> Outcome:
        """Play a pipeline whose steps note what they do in `log`, and check it."""
        log.write_bytes(b"")
        outcome = Outcome(f"{len(drawn.steps)} steps")
        before = _held()
        fabric, interruption = self.fabric(), Interruption()
        timer = threading.Timer(self.hangs_after_s, interruption.set)
        timer.start()
        spec = RunSpec(
            config=ConfigFile(path="drawn.json", data=drawn.config),
            load=Load(data=str(self._videos), **drawn.load),
            placement=Placement(device="cpu", **drawn.placement),
            limits=self.limits(drawn),
            observe=(),
            num_nodes=self.num_nodes,
        )
        run = play(
            *schedule_of(spec),
            fabric=fabric,
            interruption=interruption,
            folder=folder,
            observers=self.observers(drawn),
            cluster=LocalLauncher(self.num_nodes) if self.num_nodes > 1 else None,
        )
        timer.cancel()
        timer.join()
        if interruption.is_set:
            outcome.note(Fault.HANGING, f"{run.requests['status'].tolist()}")
        elif not run.meta.is_success:
            outcome.note(Fault.WRONG, f"{run.meta.message}; {run.traceback}")
        else:
            self.check(outcome, drawn, run if folder is None else read(folder), log)
            outcome.check(not fabric.slots_kept(), Fault.LEFT, f"slots taken: {fabric.slots_kept()}")
            outcome.check(not fabric.messages_left(), Fault.LEFT, f"messages: {fabric.messages_left()}")
        log.unlink()
        del fabric, run
        _check_nothing_held(outcome, before)
        return outcome

    def fabric(self) -> QuickFabric:
        return QuickFabric()

    def limits(self, drawn: DrawnPipeline) -> Limits:
        return Limits(max_failures=drawn.num_requests)

    def observers(self, drawn: DrawnPipeline) -> Sequence[Observer]:
        return ()

    def check(self, outcome: Outcome, drawn: DrawnPipeline, run: Run, log: Path) -> None:
        """Of a run that has come to its end."""
        check_requests(outcome, drawn, run)
        _check_notes(outcome, drawn, log)
        check_order(outcome, drawn, run)

    def _run_folder(self, seed: int) -> Path | None:
        """Some runs are kept, and checked as they are read back."""
        if seed % 5:
            return None
        folder = self.folder / f"run-{seed}"
        folder.mkdir(exist_ok=True)
        return folder


def check_requests(outcome: Outcome, drawn: DrawnPipeline, run: Run) -> None:
    """Each must have its outcome; one that has failed, the reason of each of its tries."""
    statuses, reasons = run.requests["status"].tolist(), run.requests["reason"].tolist()
    outcome.check(len(statuses) == drawn.num_requests, Fault.LOST, f"{len(statuses)} requests")
    for request_id, (status, reason) in enumerate(zip(statuses, reasons, strict=True)):
        fate, name = drawn.fate_of(request_id), f"request {request_id}"
        if isinstance(fate, str):
            is_told = fate in reason if "attempts" in run.requests else fate == reason
            is_so = status == "failed" and is_told
            outcome.check(is_so, Fault.WRONG, f"{name} is {status} ({reason}), not failed ({fate})")
        elif status != "finished":
            outcome.note(Fault.LOST, f"{name} is {status} ({reason})")
        else:
            result = run.results.get(request_id)
            outcome.check(result == fate, Fault.WRONG, f"{name} gave {result}, not {fate}")


def _check_notes(outcome: Outcome, drawn: DrawnPipeline, log: Path) -> None:
    """Each step must have served each request, or segment, once."""
    lines = log.read_text().splitlines()
    noted: Counter[tuple[int, ...]] = Counter(tuple(map(int, line.split())) for line in lines)
    expected: Counter[tuple[int, ...]] = Counter(
        note for one in range(drawn.num_requests) for note in drawn.notes_of(one)
    )
    for extra in noted - expected:
        outcome.note(Fault.DOUBLED, f"(step, request, segment) {extra}: {noted[extra]} times")
    for missing in expected - noted:
        outcome.note(Fault.LOST, f"(step, request, segment) {missing}")


def check_order(outcome: Outcome, drawn: DrawnPipeline, run: Run) -> None:
    """Events of a request, and requests where nothing runs side by side, must be in order."""
    if all(step.arriving == 1 for step in drawn.steps):
        times = np.stack([run.times[event] for event in run.events], axis=1)[run.ended_as("finished")]
        outcome.check(bool((np.diff(times, axis=1) >= 0).all()), Fault.WRONG, "events are out of order")
    if not drawn.is_in_order or drawn.load["clients"] > 1:
        return
    for event in run.events:
        if event.kind is EventKind.TAKEN:
            taken = run.times[event][run.times[event] > 0]
            outcome.check(bool((np.diff(taken) >= 0).all()), Fault.WRONG, f"{event.name} is out of order")


def _held() -> tuple[int, set[int], list[Any]]:
    """Open file descriptors, semaphores in /dev/shm, and children."""
    gc.collect()
    children = multiprocessing.active_children()
    return len(os.listdir("/proc/self/fd")), mapped_inodes(os.getpid()), children


def _check_nothing_held(outcome: Outcome, before: tuple[int, set[int], list[Any]]) -> None:
    now = _held()
    outcome.check(now[0] <= before[0], Fault.LEFT, f"{now[0] - before[0]} file descriptors")
    outcome.check(now[1] <= before[1], Fault.LEFT, f"{len(now[1] - before[1])} files in /dev/shm")
    outcome.check(not now[2], Fault.LEFT, f"processes: {now[2]}")
