"""A client: sends each request when it is due, and never waits for the pipeline."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

from client import ClientTask, run_client, send, sleep_until
from rnb.clock import now_ns
from rnb.control import Control
from rnb.message import Message, Part
from rnb.queues import EndOfStream, QueueFull
from rnb.request_table import REFUSED, UNFINISHED
from rnb.stop import StopFlag, Stopped, Termination
from tests.support.cards import CONTEXT, make_queue, make_table

NUM_REQUESTS = 15


def make_task(
    capacity: int = NUM_REQUESTS, request_ids: range = range(NUM_REQUESTS)
) -> tuple[ClientTask, Connection]:
    """A task of requests 2 ms apart, and the driver's end of its line."""
    ours, theirs = CONTEXT.Pipe()
    stop = StopFlag()
    task = ClientTask(
        control=Control(connection=theirs, stop=stop),
        stop=stop,
        table=make_table(NUM_REQUESTS),
        queue=make_queue("filename queue", capacity),
        request_ids=request_ids,
        videos=[f"{number}.mp4" for number in request_ids],
        arrivals_ns=np.array([number + 1 for number in request_ids]) * 2_000_000,
    )
    return task, ours


def receive(driver: Connection) -> tuple[str, Any]:
    assert driver.poll(30)
    told: tuple[str, Any] = driver.recv()
    return told


def play(task: ClientTask, driver: Connection, start_ns: int) -> list[tuple[str, Any]]:
    """Take a client through its life; returns what it told after the start."""
    process = CONTEXT.Process(target=run_client, args=(task,))
    process.start()
    assert receive(driver)[0] == "prepared"
    driver.send(("handles", {}))
    assert receive(driver)[0] == "ready"
    driver.send(("start", start_ns or now_ns()))
    told = [receive(driver)]
    while told[-1][0] != "finished":
        told.append(receive(driver))
    driver.send(("exit", None))
    process.join(30)
    assert process.exitcode == 0
    return told


def test_requests_leave_on_time_and_in_order() -> None:
    task, driver = make_task()
    start_ns = now_ns() + 1_000_000_000
    assert play(task, driver, start_ns) == [("finished", None)]
    scheduled, sent = task.table.column("scheduled"), task.table.column("enqueue_filename")
    assert (scheduled == start_ns + task.arrivals_ns).all()
    assert (sent >= scheduled).all()
    messages = [task.queue.get(0) for _ in range(NUM_REQUESTS)]
    assert messages == [
        Message(None, (Part(number, 0, 1, (), f"{number}.mp4"),)) for number in range(NUM_REQUESTS)
    ]
    with pytest.raises(EndOfStream):
        task.queue.get(0)


def test_a_client_of_several_sends_its_share() -> None:
    task, driver = make_task(request_ids=range(1, NUM_REQUESTS, 3))
    start_ns = now_ns() + 1_000_000_000
    assert play(task, driver, start_ns) == [("finished", None)]
    assert np.flatnonzero(task.table.column("scheduled")).tolist() == [1, 4, 7, 10, 13]
    assert np.flatnonzero(task.table.column("enqueue_filename")).tolist() == [1, 4, 7, 10, 13]
    assert task.table.column("scheduled")[4] == start_ns + 10_000_000
    messages = [task.queue.get(0) for _ in range(5)]
    assert [message.parts[0].request_id for message in messages] == [1, 4, 7, 10, 13]
    assert [message.parts[0].value for message in messages] == [
        f"{number}.mp4" for number in (1, 4, 7, 10, 13)
    ]


def test_a_full_queue_ends_the_run_and_is_named() -> None:
    task, driver = make_task(capacity=4)
    assert play(task, driver, start_ns=0) == [("queue_full", "filename queue"), ("finished", None)]
    assert task.stop.reason is Termination.FILENAME_QUEUE_FULL
    assert task.table.outcomes["status"].tolist() == [UNFINISHED] * 4 + [REFUSED] + [UNFINISHED] * 10
    assert np.flatnonzero(task.table.column("enqueue_filename")).tolist() == [0, 1, 2, 3]


def test_a_refused_request_was_never_sent() -> None:
    task, _ = make_task(capacity=1)
    send(task, 0, "a.mp4")
    with pytest.raises(QueueFull):
        send(task, 1, "b.mp4")
    assert task.table.outcomes["status"][:2].tolist() == [UNFINISHED, REFUSED]
    assert task.table.column("enqueue_filename")[0] > 0
    assert task.table.column("enqueue_filename")[1] == 0


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
