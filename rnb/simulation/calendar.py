"""What happens next: a heap of events, and the time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

Resume = Callable[[Any], Any]
"""What an event calls, with its value."""


class Calendar:
    """Events in order of time; those of the same time in the order in which they were made. In ns."""

    __slots__ = ("heap", "now_ns", "num_events", "number")

    def __init__(self) -> None:
        self.now_ns = 0
        self.heap: list[tuple[int, int, Resume, Any]] = []
        self.number = itertools.count().__next__
        self.num_events = 0

    def at(self, time_ns: int, resume: Resume, value: Any = None) -> None:
        """Have `resume` called with the value at this time, which must not lie before now."""
        heapq.heappush(self.heap, (time_ns, self.number(), resume, value))

    def play(self) -> None:
        """Let all happen, until nothing is left."""
        heap, pop = self.heap, heapq.heappop
        while heap:
            self.now_ns, _, resume, value = pop(heap)
            resume(value)
        self.num_events = self.number()


def when_both(resume: Resume) -> Resume:
    """What two events call, of which the later one resumes."""
    calls = itertools.count(1)
    return lambda value: resume(value) if next(calls) == 2 else None
