"""A runner process: one replica of a step, with one or more workers.

It gets everything ready (step, slots, warm-up) before the start barrier and tells the driver how it ended.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any

from rnb.contract.device import Device
from rnb.contract.probe import Probe
from rnb.contract.termination import Termination
from rnb.processes.child import report_end, run_child
from rnb.processes.cores import keep_off
from rnb.processes.jobs import JobQueue
from rnb.processes.sharing import Shared
from rnb.processes.start_up import TOLD, StartUp
from rnb.processes.worker import Surroundings, Worker
from rnb.transport.fabric import ControlLine, Handles, Inlet
from rnb.transport.spread_queue import connect


@dataclass(frozen=True, kw_only=True)
class RunnerTask:
    """All that a runner process is told."""

    line: ControlLine
    around: Surroundings
    probes: tuple[Probe, ...]
    """What observers do in this process."""
    environment: Mapping[str, str]
    cores_of_clients: frozenset[int]
    """They are left to them."""
    niceness: int = 0


def run_replica(task: RunnerTask) -> None:
    """The main function of a runner process."""
    start_up = StartUp()
    os.nice(task.niceness)
    keep_off(task.cores_of_clients)
    pool = task.around.out_pool
    run_child(
        task.line,
        lambda: _run(task, start_up),
        full=Termination.FRAME_QUEUE_FULL,
        environment=task.environment,
        release=pool.detach if pool else None,
        is_replaceable=_is_replaceable(task.around),
    )


def _is_replaceable(around: Surroundings) -> bool:
    return around.jobs is not None and around.jobs.is_replaceable


def _run(task: RunnerTask, start_up: StartUp) -> None:
    around, line = task.around, task.line
    if around.plan.device.is_gpu:
        _open(around.plan.device, start_up)
    with contextlib.ExitStack() as stack:
        for probe in task.probes:
            probe.prepare(partial(_tell_observer, line, probe.observer))
        with start_up.phase("slots"):
            handle = around.out_pool.allocate() if around.out_pool else b""
        line.tell("prepared", handle)  # now, as nobody's warm-up shall wait for another's constructor
        # A worker keeps one thread for life: CUDA streams, inference mode and cuDNN's plans are per thread.
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(around.plan.workers)]
        make = partial(
            Worker,
            around,
            turn=threading.Lock(),
            shared=Shared(),
            start_up=start_up,
            in_queue=_in_queue(around, line),
        )
        full, is_replaceable = Termination.FRAME_QUEUE_FULL, _is_replaceable(around)
        report = partial(report_end, line, full=full, is_replaceable=is_replaceable)
        each = partial(_on_each, threads, report)
        workers = each([partial(make, number) for number in range(len(threads))])
        with start_up.phase("wait for all to be prepared"):
            handles = line.wait_for("handles")
        with start_up.phase("slots of others"):
            _attach(around, handles)
        each([worker.warm_up for worker in workers])
        with start_up.phase("facts"):
            (facts,) = _on_each(threads[:1], report, [workers[0].facts])
        line.tell(TOLD, start_up.told())
        line.tell("ready", facts)
        start_ns = line.wait_for("start")
        connect(around.out_queues)
        for probe in task.probes:
            probe.start(start_ns)
        try:
            has_ended = each([partial(worker.run, start_ns) for worker in workers])
        finally:
            for probe in task.probes:
                probe.stop()
        _leave(around, line, has_ended=any(has_ended))


def _open(device: Device, start_up: StartUp) -> None:
    """Make a GPU the process's own."""
    with start_up.phase("torch"):
        import torch
    with start_up.phase("GPU"):
        torch.cuda.set_device(device.torch())


def _in_queue(around: Surroundings, line: ControlLine) -> Inlet:
    if around.jobs is None:
        return around.in_queue
    return JobQueue(
        around.in_queue,
        around.jobs,
        table=around.table,
        pools=around.in_pools,
        ask_to_retire=partial(line.tell, "worn"),
    )


def _leave(around: Surroundings, line: ControlLine, *, has_ended: bool) -> None:
    """Pass the end of the stream on; where it has not ended, the next process of this replica will."""
    if has_ended:
        for queue in around.out_queues:
            queue.close()
    elif around.out_pool and not around.out_pool.outlives_producer:
        around.out_pool.wait_until_read()
    for pool in around.in_pools.values():
        pool.detach()
    if not has_ended:
        line.tell("retired")


def _tell_observer(line: ControlLine, observer: str, value: Any) -> None:
    line.tell("seen", (observer, value))


def _on_each(
    threads: Sequence[ThreadPoolExecutor],
    report: Callable[[BaseException], None],
    calls: Sequence[Callable[[], Any]],
) -> list[Any]:
    """Make one call in each thread; the first exception is reported at once, and is raised."""
    futures: list[Future[Any]] = [thread.submit(call) for thread, call in zip(threads, calls, strict=True)]
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for error in filter(None, (future.exception() for future in done)):
        report(error)  # another thread may be busy for long
    return [future.result() for future in sorted(futures, key=lambda future: future not in done)]


def _attach(around: Surroundings, handles: Handles) -> None:
    for index, pool in around.in_pools.items():
        pool.attach(handles[index])
        if around.plan.device.is_gpu:
            pool.pin()
