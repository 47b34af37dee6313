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
    """Bounded. A message wakes the worker that has waited longest; until that is awake, another one that has
    done its work may take it, as with a semaphore. Where none waits, one takes it that waits on another queue
    and looks at this one now and then."""

    __slots__ = (
        "calendar",
        "capacity",
        "lookers",
        "messages",
        "name",
        "num_writers",
        "readers",
        "waiters",
        "writers",
    )

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
        self.lookers: deque[Worker] = deque()
        """Those that wait on another queue."""

    @property
    def is_closed(self) -> bool:
        """Whether nobody will put anything more."""
        return self.num_writers == 0

    def depth(self) -> int:
        """How many messages wait now; a selector may ask."""
        return len(self.messages)

    def put(self, message: Message) -> None:
        """Append a message. Raises QueueFull."""
        if len(self.messages) >= self.capacity:
            raise QueueFull(self.name)
        self.messages.append(message)
        if self.waiters:
            self.waiters[0].wake(message)
        elif self.lookers:
            self.lookers[0].look_soon()

    def close(self) -> None:
        """Of one writer."""
        self.num_writers -= 1
        if self.is_closed:
            for worker in [*self.waiters, *self.lookers]:
                worker.notice_the_end()
