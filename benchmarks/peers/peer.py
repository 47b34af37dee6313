"""What each of the systems is to RnB's benchmark of them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.work import Arrival, Work


class CannotRun(Exception):
    """What the system needs is not here; the message is one line for the table."""


@dataclass(kw_only=True)
class Played:
    """What became of arrivals, in their order."""

    finish_s: list[float | None]
    """From the start; None: no result."""
    labels: list[int | None]
    cpu_s: float | None = None
    """Of all its processes; None: whoever called it measures that."""

    @classmethod
    def nothing(cls, num: int) -> Played:
        return cls(finish_s=[None] * num, labels=[None] * num)


class Peer(ABC):
    """A system, in a process of its own.

    What of its processes is left when it has stopped, or when its time is up, is killed.
    """

    decoder: ClassVar[str] = "PyAV"
    warms_up_itself: ClassVar[bool] = False

    def __init__(self, work_file: Path) -> None:
        """Its files go into the folder of `work_file`."""
        self.work, self.work_file = Work.read(work_file), work_file
        self.ending = ExitStack()
        """What `start` has to have undone."""

    @abstractmethod
    def start(self) -> None:
        """Return when it can take requests. Raises CannotRun, before anything is started."""

    @abstractmethod
    def play(self, arrivals: Sequence[Arrival]) -> Played:
        """All of these, to the end."""

    def stop(self) -> None:
        self.ending.close()


def need(module: str, package: str) -> None:
    """Raises CannotRun where a module cannot be imported."""
    if find_spec(module) is None:
        raise CannotRun(f"needs {package.partition('==')[0]}: pip install {package}")


def wait_until(due_s: float, start_s: float) -> None:
    """Sleep until so long after the start, which `time.monotonic` says in any process of the machine."""
    time.sleep(max(0.0, start_s + due_s - time.monotonic()))
