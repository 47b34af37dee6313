"""A client process: plays its share of the schedule and never waits for the pipeline."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.clock import now_ns, sleep_precisely
from rnb.control import POLL_S, Control, run_child
from rnb.message import Message, Part
from rnb.queues import MessageQueue, QueueFull
from rnb.request_table import REFUSED, RequestTable
from rnb.stop import StopFlag, Termination


@dataclass(frozen=True, kw_only=True)
class ClientTask:
    """All that a client process is told."""

    control: Control
    stop: StopFlag
    table: RequestTable
    queue: MessageQueue
    request_ids: range
    """The requests that this client sends: all, or every n-th where there are n clients."""
    videos: Sequence[str]
    """The video of each of them."""
    arrivals_ns: NDArray[np.int64]
    """When each of them arrives, from the start."""


def run_client(task: ClientTask) -> None:
    """The main function of a client process."""
    run_child(task.control, lambda: _run(task), full=Termination.FILENAME_QUEUE_FULL)


def _run(task: ClientTask) -> None:
    if task.arrivals_ns.any():  # else there is nothing to wait for, and the runners need the cores
        _wake_on_time()
    task.control.tell("prepared", b"")
    task.control.wait_for("handles")
    task.control.tell("ready")
    scheduled_ns = task.control.wait_for("start") + task.arrivals_ns
    task.table.column("scheduled")[task.request_ids] = scheduled_ns
    for request_id, video, deadline_ns in zip(
        task.request_ids, task.videos, scheduled_ns.tolist(), strict=True
    ):
        sleep_until(deadline_ns, task.stop)
        send(task, request_id, video)
    task.queue.close()


def _wake_on_time() -> None:
    """Have the kernel wake this process when it asked for it, whatever else wants the core.

    Where this user may, that is ahead of all processes without real-time priority (sched(7)).
    """
    sleep_precisely()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


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
    stop.check()
    while (left_ns := deadline_ns - now_ns()) > 0:
        time.sleep(min(left_ns / 1e9, POLL_S))
        stop.check()
