"""A client process: plays its share of the load and never waits for the pipeline."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import SENT
from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.processes.child import run_child
from rnb.transport.clock import now_ns, sleep_precisely
from rnb.transport.fabric import POLL_S, ControlLine, Queue, QueueFull, Stamp, Stop, Table
from rnb.transport.message import Message


class Source(Protocol):
    """Where requests come from: a schedule, say."""

    @property
    def ids(self) -> range:
        """The requests that this client sends."""

    @property
    def arrivals_ns(self) -> NDArray[np.int64]:
        """When each of them arrives, from the start; ascending."""

    def __iter__(self) -> Iterator[Request]:
        """Each of them, in this order."""


@dataclass(frozen=True, kw_only=True)
class SenderTask:
    """All that a client process is told."""

    line: ControlLine
    stop: Stop
    table: Table
    queue: Queue
    source: Source
    environment: Mapping[str, str]


def run_sender(task: SenderTask) -> None:
    """The main function of a client process."""
    run_child(
        task.line,
        lambda: _run(task),
        full=Termination.FILENAME_QUEUE_FULL,
        environment=task.environment,
    )


def _run(task: SenderTask) -> None:
    arrivals_ns = task.source.arrivals_ns
    if arrivals_ns.any():  # else there is nothing to wait for, and the runners need the cores
        _wake_on_time()
    sent = task.table.stamp(SENT)
    assert sent is not None
    task.line.tell("prepared", b"")
    task.line.wait_for("handles")
    task.line.tell("ready")
    due_ns = task.line.wait_for("start") + arrivals_ns
    task.table.note_due(task.source.ids, due_ns)
    for request, deadline_ns in zip(task.source, due_ns.tolist(), strict=True):
        sleep_until(deadline_ns, task.stop)
        send(task, request, sent)
    task.queue.close()


def _wake_on_time() -> None:
    """Have the kernel wake this process when it asked for it, whatever else wants the core.

    Where this user may, that is ahead of all processes without real-time priority (sched(7)).
    """
    sleep_precisely()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def send(task: SenderTask, request: Request, sent: Stamp) -> None:
    """Put a request into the filename queue; a full queue refuses it and ends the run."""
    sent(request, now_ns())
    try:
        task.queue.put(Message(None, (request,), ((),)))
    except QueueFull:
        task.table.refuse(request.id)
        sent(request, 0)
        raise


def sleep_until(deadline_ns: int, stop: Stop) -> None:
    """Sleep to an absolute time, so that no lateness adds up; raises Stopped when the run ends first."""
    stop.check()
    while (left_ns := deadline_ns - now_ns()) > 0:
        time.sleep(min(left_ns / 1e9, POLL_S))
        stop.check()
