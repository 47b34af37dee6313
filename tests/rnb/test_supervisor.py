"""The supervisor: hears its children, notices their deaths, and ends them all."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnb import supervisor as supervisor_module
from rnb.control import Control, run_child
from rnb.stop import StopFlag, Stopped, Termination
from rnb.supervisor import Supervisor, describe_exit, remove_shared_files, stop_on_signals
from tests.support.cards import CONTEXT


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """None of its children may outlive the test; a busy machine gets time for them to end by themselves."""
    monkeypatch.setattr(supervisor_module, "EXIT_GRACE_S", 30)
    supervisor = Supervisor(CONTEXT, stop=StopFlag())
    yield supervisor
    supervisor.end()
    assert all(child.process.exitcode is not None for child in supervisor.children)


def spawn(supervisor: Supervisor, name: str, body: Callable[[Control], None]) -> None:
    supervisor.spawn(name, body, lambda control: control)


def work(control: Control) -> None:
    def body() -> None:
        control.tell("prepared", b"slots")
        assert control.wait_for("handles") == {1: b"slots"}
        control.tell("ready")

    run_child(control, body, full=Termination.FRAME_QUEUE_FULL)


def fail(control: Control) -> None:
    def body() -> None:
        raise ArithmeticError("on purpose\nand at length")

    run_child(control, body, full=Termination.FRAME_QUEUE_FULL)


def wait(control: Control) -> None:
    run_child(control, lambda: control.wait_for("never"), full=Termination.FRAME_QUEUE_FULL)


def hang(control: Control) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control.tell("prepared")
    time.sleep(600)


def leave(control: Control) -> None:
    sys.exit(7)


def leave_late(control: Control) -> None:
    control.tell("finished")
    control.wait_for_exit()
    os.kill(os.getpid(), signal.SIGKILL)


def test_children_that_do_their_work(supervisor: Supervisor) -> None:
    for name in ("a", "b"):
        spawn(supervisor, name, work)
    assert supervisor.wait_for("prepared")
    assert [child.messages["prepared"] for child in supervisor.children] == [b"slots"] * 2
    supervisor.send_all("handles", {1: b"slots"})
    assert supervisor.wait_for("ready")
    ticks: list[int] = []
    supervisor.wait_until_over(lambda: ticks.append(1))
    supervisor.end()
    assert [child.process.exitcode for child in supervisor.children] == [0, 0]
    assert supervisor.failure is None


def test_the_first_failure_is_kept_and_ends_the_others(supervisor: Supervisor) -> None:
    spawn(supervisor, "step 0.0", wait)
    spawn(supervisor, "step 1.0", fail)
    assert not supervisor.wait_for("prepared")
    assert supervisor.failure == "step 1.0 failed: ArithmeticError: on purpose"
    assert "in body" in supervisor.traceback
    supervisor.wait_until_over(lambda: None)
    supervisor.end()
    assert [child.process.exitcode for child in supervisor.children] == [0, 1]
    assert supervisor.failure == "step 1.0 failed: ArithmeticError: on purpose"


def test_a_child_that_leaves_without_a_word(supervisor: Supervisor) -> None:
    spawn(supervisor, "step 0.0", leave)
    assert not supervisor.wait_for("prepared")
    pid = supervisor.children[0].process.pid
    assert supervisor.failure == f"step 0.0 (pid {pid}) ended with exit status 7"


def test_a_child_that_dies_after_its_work(supervisor: Supervisor) -> None:
    spawn(supervisor, "step 0.0", leave_late)
    supervisor.wait_until_over(lambda: None)
    supervisor.end()
    pid = supervisor.children[0].process.pid
    assert supervisor.failure == f"step 0.0 (pid {pid}) was killed by SIGKILL after its work was done"


def test_a_child_that_never_gets_ready_is_named_and_ended_by_force(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "EXIT_GRACE_S", 0.2)
    monkeypatch.setattr(supervisor_module, "FINISH_GRACE_S", 0.1)
    spawn(supervisor, "step 0.0", hang)
    assert supervisor.wait_for("prepared")
    assert not supervisor.wait_for("ready", timeout_s=0.2)
    assert supervisor.failure == "step 0.0: not ready within 0.2 s"
    supervisor.wait_until_over(lambda: None)
    supervisor.end()
    assert supervisor.children[0].process.exitcode == -signal.SIGKILL


def test_signals_stop_the_run_and_no_more() -> None:
    stop = StopFlag()
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.reason is Termination.INTERRUPTED
    with pytest.raises(Stopped):
        stop.check()
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_first_reason_to_stop_is_kept() -> None:
    stop = StopFlag()
    stop.check()
    stop.raise_flag(Termination.FRAME_QUEUE_FULL)
    stop.raise_flag(Termination.PROCESS_FAILED)
    assert stop.reason is Termination.FRAME_QUEUE_FULL


def test_exit_codes_in_words() -> None:
    assert describe_exit(-signal.SIGSEGV) == "was killed by SIGSEGV"
    assert describe_exit(3) == "ended with exit status 3"
    assert describe_exit(-40) == "was killed by signal 40"


def test_only_the_shared_files_of_these_processes_are_removed() -> None:
    pid = 4_000_000  # above any that Linux gives
    mine = [Path(f"/dev/shm/cuda.shm.0.{pid:x}.1"), Path(f"/dev/shm/torch_{pid}_123_0")]
    other = Path(f"/dev/shm/torch_{pid}1_123_0")
    for path in (*mine, other):
        path.touch()
    try:
        remove_shared_files([pid, None])
        assert [path.exists() for path in (*mine, other)] == [False, False, True]
    finally:
        for path in (*mine, other):
            path.unlink(missing_ok=True)
