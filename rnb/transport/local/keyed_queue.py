"""A queue whose messages go to the reader that their key belongs to: all requests of a sequence to one
replica."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from rnb.transport.local.queues import MessageQueue

KeyOf = Callable[[Any], Any]
"""From a message to its key; None: any reader will do."""


class KeyedQueue:
    """One queue a reader; a writer puts each message into that of its reader.

    Every writer finds the same reader for a key, without asking: it is a hash of the key, and whole numbers
    go to the readers in turn. What has no key goes to the reader for whom the fewest messages wait.
    """

    def __init__(self, queues: Sequence[MessageQueue], key_of: KeyOf) -> None:
        self._queues, self._key_of = queues, key_of

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def name(self) -> str:
        return self._queues[0].name

    def of_reader(self, number: int) -> MessageQueue:
        """What a reader takes from."""
        return self._queues[number]

    def put(self, message: Any) -> None:
        """Append a message, or raise QueueFull at once."""
        self._queues[self._reader_of(self._key_of(message))].put(message)

    def put_pickled(self, data: bytes | memoryview) -> None:
        """The same for a message that somebody else has pickled."""
        self.put(pickle.loads(data))

    def _reader_of(self, key: Any) -> int:
        if key is None:
            return min(range(len(self._queues)), key=lambda number: self._queues[number].depth())
        if isinstance(key, int):
            return key % len(self._queues)
        return zlib.crc32(repr(key).encode()) % len(self._queues)

    def put_back(self, message: Any) -> None:
        """Append a message that was taken before, whatever the capacity is."""
        self._queues[self._reader_of(self._key_of(message))].put_back(message)

    def widen(self) -> None:
        """As of MessageQueue, in the queue of each reader."""
        for queue in self._queues:
            queue.widen()

    def sift(self, is_dropped: Callable[[Any], bool]) -> None:
        """As of MessageQueue, in the queue of each reader."""
        for queue in self._queues:
            queue.sift(is_dropped)

    def depth(self) -> int:
        return sum(queue.depth() for queue in self._queues)

    def close(self) -> None:
        for queue in self._queues:
            queue.close()
