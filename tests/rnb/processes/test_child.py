"""The frame around a child: how it tells its end, and when it goes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rnb.contract.termination import Termination
from rnb.processes.child import interrupts_held_back, run_child
from rnb.transport.fabric import QueueFull, Stopped
from rnb.transport.local.stop import StopFlag


@dataclass
class Line:
    """Notes what is told, in order."""

    stop: StopFlag = field(default_factory=StopFlag)
    told: list[Any] = field(default_factory=list)

    def tell(self, kind: str, value: Any = None) -> None:
        self.told.append((kind, value))

    def wait_for(self, kind: str) -> Any:
        raise NotImplementedError

    def wait_for_exit(self) -> None:
        self.told.append("waited")

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def same_process() -> Iterator[None]:
    """The frame changes its process, which here is the one of the tests."""
    title = Path("/proc/self/comm").read_text()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    Path("/proc/self/comm").write_text(title)
    signal.signal(signal.SIGINT, handler)


def run(line: Line, body: Callable[[], None], environment: Mapping[str, str] | None = None) -> None:
    run_child(
        line,
        body,
        full=Termination.FRAME_QUEUE_FULL,
        environment=environment or {},
        release=lambda: line.told.append("released"),
    )


def fail_with(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


END = [("finished", None), "waited", "released"]


def test_a_child_that_did_its_work_waits_before_it_lets_go() -> None:
    line = Line()
    run(line, lambda: line.tell("worked"))
    assert line.told == [("worked", None), *END]
    assert line.stop.reason is Termination.UNSET


def test_a_stopped_run_is_no_failure_of_the_child() -> None:
    line = Line()
    run(line, fail_with(Stopped()))
    assert line.told == END


def test_a_full_queue_is_told_by_its_name() -> None:
    line = Line()
    run(line, fail_with(QueueFull("frame queue 0")))
    assert line.told == [("queue_full", "frame queue 0"), *END]
    assert line.stop.reason is Termination.FRAME_QUEUE_FULL


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (ArithmeticError("on purpose\nand at length"), "ArithmeticError: on purpose"),
        (KeyError(), "KeyError:"),
        (SystemExit(4), "SystemExit: 4"),
    ],
)
def test_any_other_error_is_told_in_a_line_and_in_full(error: BaseException, summary: str) -> None:
    line = Line()
    with pytest.raises(SystemExit) as caught:
        run(line, fail_with(error))
    assert caught.value.code == 1
    (kind, (told, trace)), *rest = line.told
    assert (kind, told, rest) == ("failed", summary, END)
    assert "in body" in trace
    assert line.stop.reason is Termination.PROCESS_FAILED


def test_its_environment_and_title_are_set_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNB_TEST_OF_A_CHILD", "before")
    seen = []

    def look() -> None:
        seen.append((os.environ["RNB_TEST_OF_A_CHILD"], Path("/proc/self/comm").read_text()[:4]))

    run(Line(), look, {"RNB_TEST_OF_A_CHILD": "inside"})
    assert seen == [("inside", "rnb ")]


def interrupt() -> None:
    """Of this thread alone, as the process of the tests has others."""
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


def interrupt_and_go_on(done: list[bool]) -> None:
    with interrupts_held_back():
        interrupt()
        done.append(True)


def test_an_interrupt_does_not_end_it() -> None:
    line = Line()
    with interrupts_held_back():
        interrupt()  # comes before it is ignored
        run(line, interrupt)
    assert line.told == END


def test_interrupts_are_held_back_and_come_afterwards() -> None:
    done: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        interrupt_and_go_on(done)
    assert done
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
