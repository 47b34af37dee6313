"""Hurts each process of a run, in each of its phases, in each way; the run must end as documented."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnb.record.run_folder import META, RunFolderError, read
from tests.robustness.attack import Attack, Fault, Outcome
from tests.robustness.shooting import EXIT_CODE, PURPOSE, Shot
from tests.support.running import Bench, Finished, Running

STEPS = "tests.robustness.shooting"
FATAL = ("SIGKILL", "SIGTERM", "SIGHUP")
SIGNALS = (*FATAL, "SIGINT", "SIGSTOP")
OWN_FAULTS = ("raise", "exit", "no memory", "hang")
STEP_PHASES = ("import", "constructor", "warm-up", "call", "flush", "close")
DRIVER_PHASES = ("start-up", "stop", "report")
SHOTS = (
    *(("runner", phase, fault) for phase in STEP_PHASES for fault in (*SIGNALS, *OWN_FAULTS)),
    *(
        (target, phase, fault)
        for target in ("driver", "client", "neighbour", "tracker", "all")
        for phase in STEP_PHASES
        for fault in SIGNALS
    ),
    *(("driver", phase, fault) for phase in (*DRIVER_PHASES, "launch") for fault in SIGNALS),
    *((target, "stop", fault) for target in ("client", "runner", "tracker") for fault in SIGNALS),
    *(("nursery", "call", fault) for fault in SIGNALS),
)
"""Every target, phase and fault."""

NUM_REQUESTS, AT_REQUEST = 150, 20
MOST_SECONDS = 10
"""From the fault, or from the Ctrl-C that ends what hangs, to the end of the command."""
MOST_LAUNCH_S = 2.0
PATIENCE_S = 2.0
"""A run in which something was stopped, or hangs, gets its Ctrl-C after so long."""
START_LIMIT_S = 60
"""From the command to the shot, and from a shot that does not matter to the end of the run."""
OK = (0, 3)


@dataclass(frozen=True, kw_only=True)
class Case:
    shot: Shot
    step: int
    """The place of the step that shoots, or is shot."""
    num_steps: int
    config: Any
    launch_s: float


class KillAttack(Attack):
    """A case is a run of benchmark.py with one shot in it."""

    limit_s = 150
    long_run = 2 * len(SHOTS)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)

    def play(self, seed: int) -> Outcome:
        return self.play_shot(SHOTS[seed % len(SHOTS)], seed)

    def play_shot(self, aimed: tuple[str, str, str], seed: int) -> Outcome:
        case = case_of(aimed, random.Random(seed), self.folder)
        outcome = Outcome(f"{case.shot.target} {case.shot.fault}")
        own = self.folder / "case"
        own.mkdir()
        try:
            with Bench(own) as bench:
                self._play_in(bench, case, outcome)
        except AssertionError as error:
            outcome.note(Fault.LEFT, str(error))
        shutil.rmtree(own)
        for note in self.folder.iterdir():
            note.unlink()
        outcome.about = f"{case}"
        return outcome

    def _play_in(self, bench: Bench, case: Case, outcome: Outcome) -> None:
        try:
            run, seconds = _played(case, bench)
        except AssertionError as error:  # it does not end, or leaves a process
            outcome.note(Fault.LEFT if "left behind" in str(error) else Fault.HANGING, str(error))
        else:
            judge(outcome, case, self.folder, run, seconds)


def case_of(aimed: tuple[str, str, str], lots: random.Random, folder: Path) -> Case:
    target, phase, fault = aimed
    shot = Shot(target=target, phase=phase, fault=fault, note=str(folder / "fired"))
    num_steps = 2 if target == "neighbour" else lots.randint(1, 3)
    step, has_tensor = lots.randrange(num_steps), lots.random() < 0.15
    config = [
        {
            "model": f"{STEPS}.Number",
            "gpus": [0],
            "log": str(folder / f"{number}.log"),
            "has_tensor": has_tensor,
        }
        for number in range(num_steps)
    ]
    armed = "shooting_at_import" if phase == "import" else "shooting"
    config[step] |= {"model": f"tests.robustness.{armed}.Shooter", "at_request": AT_REQUEST}
    if phase in DRIVER_PHASES:
        step = 0  # the observer shoots, and the first runner is the one it knows
    return Case(
        shot=shot,
        step=step,
        num_steps=num_steps,
        config=config,
        launch_s=lots.uniform(0, MOST_LAUNCH_S),
    )


def _played(case: Case, bench: Bench) -> tuple[Finished, float]:
    """The run as it ended, and how many seconds after the shot, or what ended it."""
    run = bench.start(
        case.config,
        *("-v", str(NUM_REQUESTS), "-mi", "5", "--observe", f"{STEPS}.ShootingObserver"),
        **case.shot.environment(),
    )
    fired_at = _wait_for_shot(case, run)
    if case.shot.fault in ("SIGSTOP", "hang"):
        fired_at = _end_what_stands_still(case, run)
    _wait_for_end(run, fired_at + START_LIMIT_S)
    seconds = time.monotonic() - fired_at
    # What is left by a driver that was killed goes with it, but not before the kernel has told it.
    deadline = time.monotonic() + 5
    while run.children() and time.monotonic() < deadline:
        time.sleep(0.05)
    return run.finish(timeout_s=5), seconds


def _wait_for_shot(case: Case, run: Running) -> float:
    note = Path(case.shot.note)
    if case.shot.phase == "launch":
        time.sleep(case.launch_s)
        note.write_text(str(time.monotonic()))
        if run.process.poll() is None:
            os.kill(run.process.pid, signal.Signals[case.shot.fault])
    deadline = time.monotonic() + START_LIMIT_S
    while not note.exists() and run.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if not note.exists():
        raise AssertionError(f"the shot was never fired: {run.finish(timeout_s=0.1).err}")
    time.sleep(0.02)  # it may be there, and not yet be written
    return float(note.read_text())


def _end_what_stands_still(case: Case, run: Running) -> float:
    """Let go on what was stopped and whose end is not the run's; else press Ctrl-C. Returns when that was."""
    _wait_for_end(run, time.monotonic() + PATIENCE_S)
    fired_at = time.monotonic()
    if case.shot.target in ("runner", "client", "neighbour"):
        _send(run.process.pid, signal.SIGINT)
        return fired_at
    while (left := run.processes()) and time.monotonic() < fired_at + START_LIMIT_S:
        for pid in left:
            _send(pid, signal.SIGCONT)
        time.sleep(0.2)
    return fired_at


def _wait_for_end(run: Running, deadline: float) -> None:
    while run.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def judge(outcome: Outcome, case: Case, folder: Path, run: Finished, seconds: float) -> None:
    """Compare a run that has ended with what is promised; `folder` has what its steps noted."""
    statuses, words = _promised(case)
    told = [line for line in run.err.splitlines() if line.startswith("benchmark.py: ")]
    shown = f"status {run.status}, {run.err[-600:]}"
    most_seconds = START_LIMIT_S if run.status in OK else MOST_SECONDS
    outcome.check(seconds <= most_seconds, Fault.HANGING, f"ended after {seconds:.1f} s")
    outcome.check(run.status in statuses, Fault.WRONG, f"{shown}; promised: {statuses}")
    if run.status == 1:
        is_named = len(told) == 1 and any(re.search(one, told[0]) for one in words)
        outcome.check(is_named, Fault.WRONG, f"{shown}; promised: {words}")
    # Python's tracker tells in its own way that it was killed, and children that their driver is gone.
    is_told_by_python = case.shot.target == "tracker" or run.status == -signal.SIGKILL
    if case.shot.fault not in ("raise", "no memory") and not is_told_by_python:
        outcome.check("Traceback" not in run.err, Fault.TRACEBACK, run.err[-1500:])
    _judge_folder(outcome, case, folder, run)


def _judge_folder(outcome: Outcome, case: Case, folder: Path, run: Finished) -> None:
    """Whole, or without run.json where the driver was killed; with all that had finished."""
    if run.folder is None or not (run.folder / META).exists():
        is_allowed = run.status < 0 or case.shot.phase == "launch"
        outcome.check(is_allowed, Fault.LOST, "there is no run folder")
        return
    try:
        kept = read(run.folder)
    except RunFolderError as error:
        outcome.note(Fault.WRONG, str(error))
        return
    partial = [path.name for path in run.folder.iterdir() if path.name.endswith(".partial")]
    outcome.check(not partial or run.status < 0, Fault.LEFT, f"{partial}")
    finished = kept.ended_as("finished").nonzero()[0].tolist()
    wrong = [one for one in finished if kept.results.get(one) != one]
    outcome.check(not wrong, Fault.WRONG, f"the results of {wrong}")
    last = folder / f"{case.num_steps - 1}.log"
    served = last.read_text().splitlines() if last.exists() else []
    outcome.check(len(set(served)) == len(served), Fault.DOUBLED, f"served: {served}")
    # The one that the last step had in its hands may be lost with it.
    outcome.check(len(finished) >= len(served) - 1, Fault.LOST, f"{len(finished)} of {len(served)} kept")
    if run.status in OK:
        outcome.check(len(finished) == NUM_REQUESTS, Fault.LOST, f"{len(finished)} finished")


def _promised(case: Case) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The exit statuses that a run may end with, and patterns of what its one line may say of a 1."""
    shot = case.shot
    killed = f"was killed by {shot.fault}"
    if shot.target == "driver" or shot.phase == "launch":
        return _promised_of_driver(shot)
    if shot.target == "tracker" or (shot.fault == "SIGINT" and shot.target != "all"):
        return OK, ()
    if shot.target == "nursery":
        return (OK, ()) if shot.fault == "SIGSTOP" else ((1,), (".pid [0-9]+. ended with exit status 255",))
    if shot.target == "all":
        return _promised_of_all(shot, killed)
    if shot.fault in ("SIGSTOP", "hang"):
        is_done = shot.phase in ("flush", "close", "stop")
        return (1, *(OK if is_done else ())), ("interrupted",)
    name = {"client": "client", "runner": f"step {case.step}.0", "neighbour": f"step {1 - case.step}.0"}
    who = name[shot.target]
    words = {
        "raise": f"failed: .*ArithmeticError: {PURPOSE}",
        "no memory": f"failed: .*MemoryError: {PURPOSE}",
        "exit": f".pid [0-9]+. ended with exit status {EXIT_CODE}",
    }
    return (1,), (f"{who} {words.get(shot.fault, f'.pid [0-9]+. {killed}')}",)


def _promised_of_driver(shot: Shot) -> tuple[tuple[int, ...], tuple[str, ...]]:
    number = signal.Signals[shot.fault]
    if shot.fault == "SIGKILL":
        return (-number,), ()
    if shot.phase == "launch":
        return (1, -number, *OK), ("interrupted",)
    if shot.fault == "SIGSTOP":
        return OK, ()
    is_done = shot.phase in ("flush", "close", "stop", "report")
    return (1, *(OK if is_done else ())), ("interrupted",)


def _promised_of_all(shot: Shot, killed: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """As a terminal that is closed, or its Ctrl-C, does it."""
    if shot.fault == "SIGKILL":
        return (-signal.SIGKILL,), ()
    if shot.fault == "SIGSTOP":
        return OK, ()
    is_done = shot.phase in ("flush", "close")
    return (1, *(OK if is_done else ())), ("interrupted", killed)
