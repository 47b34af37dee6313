"""What an attack is, and what a case of one finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar


class Fault(StrEnum):
    """What must never happen."""

    LOST = "lost"
    """A request, or a result, that is nowhere."""
    DOUBLED = "doubled"
    """A request that was worked on twice."""
    WRONG = "wrong"
    """Another value, status, message or outcome than promised."""
    HANGING = "hanging"
    """It did not end in the time that it has."""
    TRACEBACK = "tracebacks"
    """An exception where there should be a line, or more than a line."""
    CRASH = "crashes"
    """The process was killed by a signal."""
    GREEDY = "greedy"
    """It took more memory than it may."""
    LEFT = "left-overs"
    """A process, a file in /dev/shm, a slot or a file descriptor that stayed."""


@dataclass
class Outcome:
    """Of one case."""

    kind: str
    """What it is counted as."""
    faults: list[tuple[Fault, str]] = field(default_factory=list)
    """Each with what shows it."""
    about: str = ""
    """What was played, for those who look into a fault."""

    def note(self, fault: Fault, why: str) -> None:
        self.faults.append((fault, why))

    def check(self, is_so: bool, fault: Fault, why: str) -> None:
        if not is_so:
            self.note(fault, why)


class Attack:
    """Made once in each process that plays its cases; the same seed gives the same case."""

    limit_s: ClassVar[float] = 60
    """A case that takes longer hangs, and its process is killed."""
    long_run: ClassVar[int] = 1000
    """How many cases `make torture` plays."""

    def __init__(self, folder: Path) -> None:
        """`folder` is empty, and the attack's own."""
        self.folder = folder

    def play(self, seed: int) -> Outcome:
        """Play the case of a seed."""
        raise NotImplementedError
