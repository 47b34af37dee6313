"""A simulated queue between two steps."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rnb.simulation.calendar import Calendar
from rnb.simulation.lock import Lock
from rnb.simulation.message import Message
from rnb.transport.fabric import QueueFull

if TYPE_CHECKING:
    from rnb.simulation.worker import Worker


class SimulatedQueue:
    """Bounded; a worker that waits gets the next message, first come, first served."""

    __slots__ = ("calendar", "capacity", "messages", "name", "num_writers", "readers", "waiters", "writers")

    def __init__(
        self,
        calendar: Calendar,
        *,
        name: str,
        capacity: int,
        num_writers: int,
        writers: Lock,
        readers: Lock,
    ) -> None:
        self.calendar, self.name = calendar, name
        self.capacity, self.num_writers = capacity, num_writers
        self.writers, self.readers = writers, readers
        self.messages: deque[Message] = deque()
        self.waiters: deque[Worker] = deque()

    @property
    def is_closed(self) -> bool:
        """Whether nobody will put anything more."""
        return self.num_writers == 0

    def depth(self) -> int:
        """How many messages wait now; a selector may ask."""
        return len(self.messages)

    def put(self, message: Message) -> None:
        """Append a message. Raises QueueFull."""
        if self.waiters:
            self.waiters.popleft().wake(message)
        elif len(self.messages) < self.capacity:
            self.messages.append(message)
        else:
            raise QueueFull(self.name)

    def close(self) -> None:
        """Of one writer."""
        self.num_writers -= 1
        if self.is_closed:
            while self.waiters:
                self.waiters.popleft().wake(None)
