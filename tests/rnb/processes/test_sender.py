"""A client: sends each request when it is due, and never waits for the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.contract.events import DUE, SENT
from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.processes.sender import SenderTask, run_sender, send, sleep_until
from rnb.transport.clock import now_ns
from rnb.transport.fabric import REFUSED, UNFINISHED, EndOfStream, QueueFull, Stamp, Stopped
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.queues import MessageQueue
from rnb.transport.local.stop import StopFlag
from rnb.transport.message import Message
from tests.support.underway import CONTEXT, make_queue, make_table

NUM_REQUESTS = 15


@dataclass(frozen=True)
class EveryTwoMs:
    """Requests 2 ms apart, with a deadline each."""

    ids: range = range(NUM_REQUESTS)

    @property
    def arrivals_ns(self) -> NDArray[np.int64]:
        return (np.array(self.ids) + 1) * 2_000_000

    def __iter__(self) -> Iterator[Request]:
        return (request(number) for number in self.ids)


def request(number: int) -> Request:
    return Request(number, f"{number}.mp4", parameters={"deadline_ms": number})


def make_task(
    capacity: int = NUM_REQUESTS, request_ids: range = range(NUM_REQUESTS)
) -> tuple[SenderTask, Connection]:
    """A task, and the driver's end of its line."""
    fabric = LocalFabric()
    ours, theirs = fabric.line()
    task = SenderTask(
        line=theirs,
        stop=fabric.stop,
        table=make_table(NUM_REQUESTS),
        queue=make_queue("filename queue", capacity),
        source=EveryTwoMs(request_ids),
        environment={},
    )
    return task, ours


def stamp_of(task: SenderTask) -> Stamp:
    stamp = task.table.stamp(SENT)
    assert stamp is not None
    return stamp


def receive(driver: Connection) -> tuple[str, Any]:
    assert driver.poll(60)
    told: tuple[str, Any] = driver.recv()
    return told


def play(
    task: SenderTask, driver: Connection, in_ns: int = 1_000_000_000
) -> tuple[list[tuple[str, Any]], int]:
    """Take a client through its life; returns what it told after the start, and when that was."""
    process = CONTEXT.Process(target=run_sender, args=(task,))
    process.start()
    assert receive(driver)[0] == "prepared"
    driver.send(("handles", {}))
    assert [receive(driver)[0] for _ in range(2)] == ["phases", "ready"]
    start_ns = now_ns() + in_ns
    driver.send(("start", start_ns))
    told = [receive(driver)]
    while told[-1][0] != "finished":
        told.append(receive(driver))
    driver.send(("exit", None))
    process.join(30)
    assert process.exitcode == 0
    return told, start_ns


def taken(task: SenderTask) -> Message:
    assert isinstance(task.queue, MessageQueue)
    message: Message = task.queue.take(0)
    return message


def test_requests_leave_on_time_and_in_order() -> None:
    task, driver = make_task()
    told, start_ns = play(task, driver)
    assert told == [("finished", None)]
    due, sent = task.table.column(DUE), task.table.column(SENT)
    assert (due == start_ns + task.source.arrivals_ns).all()
    assert (sent >= due).all()
    messages = [taken(task) for _ in range(NUM_REQUESTS)]
    assert messages == [Message(None, (request(number),), ((),)) for number in range(NUM_REQUESTS)]
    with pytest.raises(EndOfStream):
        taken(task)


def test_a_client_of_several_sends_its_share() -> None:
    task, driver = make_task(request_ids=range(1, NUM_REQUESTS, 3))
    told, start_ns = play(task, driver)
    assert told == [("finished", None)]
    assert np.flatnonzero(task.table.column(DUE)).tolist() == [1, 4, 7, 10, 13]
    assert np.flatnonzero(task.table.column(SENT)).tolist() == [1, 4, 7, 10, 13]
    assert task.table.column(DUE)[4] == start_ns + 10_000_000
    sent = [taken(task).requests[0] for _ in range(5)]
    assert [one.id for one in sent] == [1, 4, 7, 10, 13]
    assert [one.payload for one in sent] == [f"{number}.mp4" for number in (1, 4, 7, 10, 13)]


def test_a_full_queue_ends_the_run_and_is_named() -> None:
    task, driver = make_task(capacity=4)
    told, _ = play(task, driver, in_ns=0)
    assert told == [("queue_full", "filename queue"), ("finished", None)]
    assert task.stop.reason is Termination.FILENAME_QUEUE_FULL
    assert task.table.outcomes["status"].tolist() == [UNFINISHED] * 4 + [REFUSED] + [UNFINISHED] * 10
    assert np.flatnonzero(task.table.column(SENT)).tolist() == [0, 1, 2, 3]


def test_a_refused_request_was_never_sent() -> None:
    task, _ = make_task(capacity=1)
    send(task, Request(0, "a.mp4"), stamp_of(task))
    with pytest.raises(QueueFull):
        send(task, Request(1, "b.mp4"), stamp_of(task))
    assert task.table.outcomes["status"][:2].tolist() == [UNFINISHED, REFUSED]
    assert task.table.column(SENT)[0] > 0
    assert task.table.column(SENT)[1] == 0


def test_it_sleeps_to_the_deadline_and_not_past_a_late_one() -> None:
    deadline_ns = now_ns() + 20_000_000
    sleep_until(deadline_ns, StopFlag())
    assert deadline_ns <= now_ns()
    sleep_until(deadline_ns - 10**12, StopFlag())


@pytest.mark.parametrize("seconds", [-1, 60])
def test_a_stopped_run_ends_its_sleep(seconds: int) -> None:
    stop = StopFlag()
    threading.Timer(0.0 if seconds < 0 else 0.05, stop.raise_flag, [Termination.INTERRUPTED]).start()
    while seconds < 0 and stop.reason is Termination.UNSET:
        pass
    with pytest.raises(Stopped):
        sleep_until(now_ns() + seconds * 10**9, stop)
