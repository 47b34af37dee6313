"""The client process: plays the schedule, one request at a time, and never waits for the pipeline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.clock import now_ns
from rnb.control import POLL_S, Control, run_child
from rnb.message import Message, Part
from rnb.queues import MessageQueue, QueueFull
from rnb.request_table import REFUSED, RequestTable
from rnb.stop import StopFlag, Termination


@dataclass(frozen=True, kw_only=True)
class ClientTask:
    """All that the client process is told."""

    control: Control
    stop: StopFlag
    table: RequestTable
    queue: MessageQueue
    videos: Sequence[str]
    """The video of each request."""
    arrivals_ns: NDArray[np.int64]
    """When each request arrives, from the start."""


def run_client(task: ClientTask) -> None:
    """The main function of the client process."""
    run_child(task.control, lambda: _run(task), full=Termination.FILENAME_QUEUE_FULL)


def _run(task: ClientTask) -> None:
    task.control.tell("prepared", b"")
    task.control.wait_for("handles")
    task.control.tell("ready")
    start_ns = task.control.wait_for("start")
    scheduled_ns = task.table.column("scheduled")
    scheduled_ns[:] = start_ns + task.arrivals_ns
    for request_id, (video, deadline_ns) in enumerate(zip(task.videos, scheduled_ns.tolist(), strict=True)):
        sleep_until(deadline_ns, task.stop)
        send(task, request_id, video)
    task.queue.close()


def send(task: ClientTask, request_id: int, video: str) -> None:
    """Put a request into the filename queue; a full queue refuses it and ends the run."""
    task.table.record(request_id, "enqueue_filename")
    try:
        task.queue.put(Message(None, (Part(request_id, 0, 1, (), video),)))
    except QueueFull:
        task.table.outcomes["status"][request_id] = REFUSED
        task.table.record(request_id, "enqueue_filename", 0)
        raise


def sleep_until(deadline_ns: int, stop: StopFlag) -> None:
    """Sleep to an absolute time, so that no lateness adds up; raises Stopped when the run ends first."""
    while (left_ns := deadline_ns - now_ns()) > 0:
        stop.check()
        time.sleep(min(left_ns / 1e9, POLL_S))
    if stop.reason is not Termination.UNSET:
        stop.check()
