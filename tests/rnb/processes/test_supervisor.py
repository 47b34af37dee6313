"""The supervisor: hears its children, notices their deaths, and ends them all."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnb.contract.termination import Termination
from rnb.processes import supervisor as supervisor_module
from rnb.processes.child import run_child
from rnb.processes.supervisor import Supervisor, describe_exit, remove_shared_files
from rnb.transport.fabric import ControlLine, Stopped
from rnb.transport.local.fabric import LocalFabric


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """None of its children may outlive the test; a busy machine gets time for them to end by themselves."""
    monkeypatch.setattr(supervisor_module, "EXIT_GRACE_S", 30)
    supervisor = Supervisor(LocalFabric())
    yield supervisor
    supervisor.end()
    assert all(child.process.exitcode is not None for child in supervisor.children)


def spawn(supervisor: Supervisor, name: str, body: Callable[[ControlLine], None]) -> None:
    supervisor.spawn(name, body, lambda line: line)


def run(line: ControlLine, body: Callable[[], None]) -> None:
    run_child(line, body, full=Termination.FRAME_QUEUE_FULL, environment={})


def work(line: ControlLine) -> None:
    def body() -> None:
        line.tell("prepared", b"slots")
        assert line.wait_for("handles") == {1: b"slots"}
        line.tell("ready")

    run(line, body)


def fail(line: ControlLine) -> None:
    def body() -> None:
        raise ArithmeticError("on purpose\nand at length")

    run(line, body)


def wait(line: ControlLine) -> None:
    run(line, lambda: line.wait_for("never"))


def hang(line: ControlLine) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line.tell("prepared")
    time.sleep(600)


def leave(line: ControlLine) -> None:
    sys.exit(7)


def leave_at_the_end(line: ControlLine) -> None:
    with contextlib.suppress(Stopped):
        line.wait_for("never")
    sys.exit(7)


def leave_late(line: ControlLine) -> None:
    line.tell("finished")
    line.wait_for_exit()
    os.kill(os.getpid(), signal.SIGKILL)


def test_children_that_do_their_work(supervisor: Supervisor) -> None:
    for name in ("a", "b"):
        spawn(supervisor, name, work)
    assert supervisor.wait_for("prepared")
    assert supervisor.told("prepared") == {"a": [b"slots"], "b": [b"slots"]}
    assert set(supervisor.pids()) == {"a", "b"}
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


def tell_twice(line: ControlLine) -> None:
    def body() -> None:
        for value in ("first", "second"):
            line.tell("seen", value)
        line.tell("ready")
        line.tell("seen", line.wait_for("start"))
        line.tell("seen", line.wait_for("start"))

    run(line, body)


def test_a_child_may_tell_the_same_kind_several_times(supervisor: Supervisor) -> None:
    spawn(supervisor, "step 0.0", tell_twice)
    assert supervisor.wait_for("ready")
    assert supervisor.told("seen") == {"step 0.0": ["first", "second"]}
    for value in ("third", "fourth"):
        supervisor.send_all("start", value)
    supervisor.wait_until_over(lambda: None)
    assert supervisor.told("seen") == {"step 0.0": ["first", "second", "third", "fourth"]}
    assert supervisor.told("nothing") == {}
    assert supervisor.failure is None


@pytest.mark.parametrize(("main", "exitcode"), [(wait, 0), (leave_at_the_end, 7)], ids=["waits", "fails"])
def test_an_interruption_ends_a_wait_and_what_fails_after_it_is_no_failure(
    main: Callable[..., None], exitcode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "EXIT_GRACE_S", 30)
    fabric, interruption = LocalFabric(), threading.Event()
    supervisor = Supervisor(fabric, interruption.is_set)
    spawn(supervisor, "step 0.0", main)
    threading.Timer(0.1, interruption.set).start()
    try:
        assert not supervisor.wait_for("ready")
        assert fabric.stop.reason is Termination.INTERRUPTED
        supervisor.wait_until_over(lambda: None)
    finally:
        supervisor.end()
    assert supervisor.children[0].process.exitcode == exitcode
    assert supervisor.failure is None


def test_children_are_started_and_ended_by_any_thread(supervisor: Supervisor) -> None:
    found: list[bool] = []

    def play() -> None:
        spawn(supervisor, "step 0.0", work)
        found.append(supervisor.wait_for("prepared"))
        supervisor.send_all("handles", {1: b"slots"})
        found.append(supervisor.wait_for("ready"))
        supervisor.wait_until_over(lambda: None)
        supervisor.end()

    thread = threading.Thread(target=play)
    thread.start()
    thread.join(120)
    assert found == [True, True]
    assert supervisor.failure is None
    assert [child.process.exitcode for child in supervisor.children] == [0]


def interrupt_itself(line: ControlLine) -> None:
    def body() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        line.tell("ready")

    run(line, body)


def test_a_ctrl_c_for_all_processes_is_the_drivers_alone(supervisor: Supervisor) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    spawn(supervisor, "step 0.0", interrupt_itself)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    assert supervisor.wait_for("ready")
    supervisor.wait_until_over(lambda: None)
    assert supervisor.failure is None


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


def test_a_child_that_does_not_end_though_all_is_done_is_named(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("EXIT_GRACE_S", 0.2), ("FINISH_GRACE_S", 0.1), ("END_GRACE_S", 0.3)):
        monkeypatch.setattr(supervisor_module, name, seconds)
    spawn(supervisor, "step 0.0", hang)
    assert supervisor.wait_for("prepared")
    looks = iter([False, True])
    supervisor.wait_until_over(lambda: None, lambda: next(looks))
    assert supervisor.failure == "step 0.0: not ended 0.3 s after the last request was done"
