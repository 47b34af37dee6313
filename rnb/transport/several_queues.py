"""The reading end of several queues, for who takes from the first of them that has a message."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from rnb.transport.fabric import EndOfStream, ReadingEnd
from rnb.transport.message import Message

LOOK_S = 0.002
"""So often it looks at the others while it waits on the first: nothing wakes a reader for several."""
LOOK_OFTEN_S = 10e-6


class SeveralQueues:
    """A ReadingEnd, for all threads of a process."""

    def __init__(self, queues: Sequence[ReadingEnd]) -> None:
        """`queues`: the one to take from before all others comes first."""
        self._queues = tuple(queues)
        """Those that have not ended."""
        self._taken_from: dict[int, ReadingEnd] = {}
        """By thread, the queue of its last message."""

    def take(
        self, timeout_s: float, *, poll_s: float = 0, claim: Callable[[Message], None] | None = None
    ) -> Message:
        start = time.monotonic()
        while self._queues:
            for queue in self._queues:
                if message := self._taken(queue, 0, claim):
                    return message
            waited_s = time.monotonic() - start
            if waited_s >= timeout_s:
                raise TimeoutError
            wait_s = min(LOOK_OFTEN_S if waited_s < poll_s else LOOK_S, timeout_s - waited_s)
            for queue in self._queues[:1]:
                if message := self._taken(queue, wait_s, claim):
                    return message
        raise EndOfStream

    def _taken(
        self, queue: ReadingEnd, timeout_s: float, claim: Callable[[Message], None] | None
    ) -> Message | None:
        try:
            message = queue.take(timeout_s, claim=claim)
        except TimeoutError:
            return None
        except EndOfStream:
            self._queues = tuple(one for one in self._queues if one is not queue)
            return None
        self._taken_from[threading.get_ident()] = queue
        return message

    def put_back(self, message: Message) -> None:
        """Into the queue from which this thread took last."""
        self._taken_from[threading.get_ident()].put_back(message)
