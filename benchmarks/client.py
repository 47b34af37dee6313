"""How late the client sends, with a reader that only drains the queue. python -m benchmarks.client"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import show, spread
from rnb.contract.events import DUE, SENT
from rnb.contract.termination import Termination
from rnb.load.arrivals import ArrivalProcess
from rnb.load.source import ScheduleSource
from rnb.processes.child import run_child
from rnb.processes.sender import SenderTask, run_sender
from rnb.processes.supervisor import Child, Supervisor
from rnb.transport.fabric import POLL_S, ControlLine, EndOfStream, Queue, Table
from rnb.transport.local.fabric import LocalFabric

LATE_MS = 1.0
"""Perf Analyzer warns of requests that are later than this."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=10_000, help="requests/s (default %(default)g)")
    parser.add_argument("--seconds", type=float, default=10, help="length of a run (default %(default)g)")
    parser.add_argument("--clients", type=int, default=1, help="client processes (default %(default)s)")
    parser.add_argument("-n", "--repeats", type=int, default=3, help="runs (default %(default)s)")
    args = parser.parse_args()
    loads_before = os.getloadavg()[0]
    runs = [measure(args, seed) for seed in range(args.repeats)]
    figures = {name: spread([run[name] for run in runs]) for name in runs[0]}
    p99 = figures["lateness_p99_ms"]
    show(
        "client",
        f"{figures['sent_per_s']['median']:.0f} of {args.rate:.0f} requests/s with {args.clients} clients:"
        f" lateness p50 {figures['lateness_p50_ms']['median']:.3f} ms, p99 {p99['median']:.3f} ms"
        f" ({p99['min']:.3f} to {p99['max']:.3f}), {figures['late_percent']['median']:.2f} % later than"
        f" {LATE_MS:g} ms; {figures['cpu_percent']['median']:.0f} % of a core",
        {**figures, "clients": args.clients, "rate": args.rate, "load_average_before": loads_before},
    )


def measure(args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Play one schedule. Raises RuntimeError when a process fails."""
    arrivals_ns = ArrivalProcess(mean_interval_ms=1000 / args.rate, seed=seed).draw_for(args.seconds)
    bed = Bed(arrivals_ns, args.clients)
    table, cpu_s = bed.play()
    lateness_ms = (table.column(SENT) - table.column(DUE)) / 1e6
    return {
        "sent_per_s": (len(arrivals_ns) - 1) / float(np.ptp(table.column(SENT)) / 1e9),
        "lateness_p50_ms": float(np.percentile(lateness_ms, 50)),
        "lateness_p99_ms": float(np.percentile(lateness_ms, 99)),
        "lateness_p99_9_ms": float(np.percentile(lateness_ms, 99.9)),
        "lateness_max_ms": float(lateness_ms.max()),
        "late_percent": float(100 * np.mean(lateness_ms > LATE_MS)),
        "cpu_percent": 100 * cpu_s / float(arrivals_ns[-1] / 1e9),
    }


@dataclass(frozen=True, kw_only=True)
class DrainTask:
    line: ControlLine
    queue: Queue


def run_drain(task: DrainTask) -> None:
    """The main function of the reader: takes what comes, until the end of the stream."""
    run_child(task.line, lambda: _drain(task), full=Termination.FRAME_QUEUE_FULL, environment={})


def _drain(task: DrainTask) -> None:
    task.line.tell("prepared", b"")
    task.line.wait_for("handles")
    task.line.tell("ready")
    task.line.wait_for("start")
    with contextlib.suppress(EndOfStream):
        while True:
            task.line.stop.check()
            with contextlib.suppress(TimeoutError):
                task.queue.of_reader(0).take(POLL_S)


class Bed:
    """Clients as a run has them, and a reader in the place of the pipeline."""

    def __init__(self, arrivals_ns: NDArray[np.int64], num_clients: int) -> None:
        self._fabric, self._num_clients = LocalFabric(), num_clients
        num_requests = len(arrivals_ns)
        self._arrivals_ns = self._fabric.numbers(arrivals_ns)
        self._payloads = self._fabric.texts(["data/videos/bikes/bikes_0.mp4"])
        self._payload_of = self._fabric.numbers(np.zeros(num_requests, dtype=np.int64))
        self._table = self._fabric.table(num_requests=num_requests, events=(DUE, SENT))
        self._queue = self._fabric.queue("filename queue", capacity=num_requests, num_writers=num_clients)
        self._supervisor = Supervisor(self._fabric)

    def play(self) -> tuple[Table, float]:
        """Returns the timestamps, and the CPU seconds of all clients while they played."""
        try:
            clients = [
                self._supervisor.spawn(f"client {number}", run_sender, partial(self._sender_task, number))
                for number in range(self._num_clients)
            ]
            self._supervisor.spawn("reader", run_drain, self._drain_task)
            cpu_s = self._play(clients)
        finally:
            self._supervisor.end()
        if self._supervisor.failure:
            raise RuntimeError(f"{self._supervisor.failure}\n{self._supervisor.traceback}")
        return self._table, cpu_s

    def _play(self, clients: Sequence[Child]) -> float:
        for kind, answer in (("prepared", "handles"), ("ready", "start")):
            if not self._supervisor.wait_for(kind):
                return 0.0
            before_s = cpu_seconds(clients)
            self._supervisor.send_all(answer, self._fabric.clock.now_ns() + 20_000_000)
        self._supervisor.wait_until_over(lambda: None)
        return cpu_seconds(clients) - before_s

    def _sender_task(self, number: int, line: ControlLine) -> SenderTask:
        return SenderTask(
            line=line,
            stop=self._fabric.stop,
            table=self._table,
            queue=self._queue,
            source=ScheduleSource(
                all_arrivals_ns=self._arrivals_ns,
                payloads=self._payloads,
                payload_of=self._payload_of,
                number=number,
                num_clients=self._num_clients,
            ),
            environment={},
        )

    def _drain_task(self, line: ControlLine) -> DrainTask:
        return DrainTask(line=line, queue=self._queue)


def cpu_seconds(children: Sequence[Child]) -> float:
    """User and system time of living processes (proc_pid_stat(5), fields 14 and 15)."""
    fields: list[list[Any]] = [
        Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split() for child in children
    ]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
