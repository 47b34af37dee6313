"""What a process that plays a part of the load is told, and how it begins, whoever it plays it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnb.contract.request import Request
from rnb.processes.cores import go_first
from rnb.processes.start_up import TOLD, StartUp
from rnb.transport.clock import sleep_precisely
from rnb.transport.fabric import ControlLine, Stop, Table


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
class ClientTask:
    """All that every client process is told."""

    line: ControlLine
    stop: Stop
    table: Table
    source: Source
    environment: Mapping[str, str]


class Clients(Protocol):
    """Processes that play the load to a server, in the place of those that feed a pipeline."""

    @property
    def modules(self) -> Sequence[str]:
        """What they import."""

    @property
    def run(self) -> Callable[[Any], None]:
        """Their main function; it takes what `task` gives."""

    def task(self, **common: Any) -> ClientTask:
        """`common`: the fields of a ClientTask."""

    def beside(self) -> Mapping[str, int]:
        """Processes that work for the run and were there before it: pids by name."""


def pass_start_barrier(task: ClientTask) -> NDArray[np.int64]:
    """Wait for the start, and note when each request is due, (number of requests,), readings of the clock."""
    task.line.tell("prepared", b"")
    task.line.wait_for("handles")
    task.line.tell(TOLD, StartUp().told())
    task.line.tell("ready")
    due_ns: NDArray[np.int64] = task.line.wait_for("start") + task.source.arrivals_ns
    task.table.note_due(task.source.ids, due_ns)
    return due_ns


def wake_on_time() -> None:
    """Have the kernel wake this process when it asked for it, whatever else wants the core.

    Where this user may, that is ahead of all processes without real-time priority (rnb/processes/cores.py).
    """
    sleep_precisely()
    go_first()
