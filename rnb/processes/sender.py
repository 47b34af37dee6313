"""A client process: plays its share of the load and never waits for the pipeline."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rnb.contract.events import SENT
from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.processes.child import run_child
from rnb.processes.client_task import ClientTask, pass_start_barrier, wake_on_time
from rnb.processes.cores import keep_to
from rnb.transport.clock import now_ns
from rnb.transport.fabric import POLL_S, QueueFull, Stamp, Stop, WritingEnd
from rnb.transport.message import Message
from rnb.transport.spread_queue import connect


@dataclass(frozen=True, kw_only=True)
class SenderTask(ClientTask):
    """All that a client process of a pipeline is told."""

    queue: WritingEnd
    cores: frozenset[int] = frozenset()
    """Those that the clients have to themselves; none: they share with everybody."""


def run_sender(task: SenderTask) -> None:
    """The main function of a client process."""
    keep_to(task.cores)
    run_child(
        task.line,
        lambda: _run(task),
        full=Termination.FILENAME_QUEUE_FULL,
        environment=task.environment,
    )


def _run(task: SenderTask) -> None:
    arrivals_ns = task.source.arrivals_ns
    if arrivals_ns.any():  # else there is nothing to wait for, and the runners need the cores
        wake_on_time()
    sent = task.table.stamp(SENT)
    assert sent is not None
    due_ns = pass_start_barrier(task)
    connect([task.queue])
    for request, deadline_ns in zip(task.source, due_ns.tolist(), strict=True):
        sleep_until(deadline_ns, task.stop)
        send(task, request, sent)
    task.queue.close()


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
