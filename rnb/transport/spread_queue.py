"""The writing end of a queue whose readers are on several nodes."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rnb.transport.fabric import WritingEnd
from rnb.transport.message import Message
from rnb.transport.tcp.lane import Lane

MOST_LOOKED = 16
"""At how many readers a writer looks for a message."""
GONE = -1
"""In the place of a load: nobody takes from there any more."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """To the readers on one node."""

    queue: WritingEnd
    num_readers: int
    loads: Any = None
    """An array in shared memory, with how many messages wait at the other end as last heard, or GONE; None:
    there is no other end."""
    place: int = 0
    """In that array."""

    def depth(self) -> int:
        """How many messages wait on this way, here and at its end."""
        return self.queue.depth() + max(0, self._away())

    def load(self) -> float:
        """How many messages wait for each of its readers; infinite: nobody is there."""
        away = self._away()
        return math.inf if away == GONE else (self.queue.depth() + away) / self.num_readers

    @property
    def is_gone(self) -> bool:
        """Whether the run goes on without the node at its end."""
        return self._away() == GONE

    def _away(self) -> int:
        return 0 if self.loads is None else int(self.loads.values[self.place])


class SpreadQueue:
    """Puts each message where the fewest wait for a reader, of the next MOST_LOOKED in turn.

    The best of a few is as good as the best of all (M. Mitzenmacher, The power of two choices in randomized
    load balancing, IEEE TPDS 12(10), 2001), and costs the same however many nodes there are.

    What has a key goes to the node of the reader that its key belongs to, and so all of a sequence to one.
    """

    def __init__(self, ways: Sequence[Way], *, key_of: Callable[[Message], Any] | None) -> None:
        self._ways, self._key_of = ways, key_of
        most = max(way.num_readers for way in ways)
        self._readers = [way for number in range(most) for way in ways if number < way.num_readers]
        self._turn = 0

    @property
    def name(self) -> str:
        return self._ways[0].queue.name

    def put(self, message: Message) -> None:
        self._choose(message).queue.put(message)

    def put_back(self, message: Message) -> None:
        self._choose(message).queue.put_back(message)

    def _choose(self, message: Message) -> Way:
        if len(self._ways) == 1:
            return self._ways[0]
        key = self._key_of(message) if self._key_of else None
        return self._next() if key is None else self._way_of(key)

    def _next(self) -> Way:
        self._turn += 1
        turns = range(self._turn, self._turn + min(len(self._readers), MOST_LOOKED))
        best = min((self._readers[turn % len(self._readers)] for turn in turns), key=Way.load)
        return min(self._left(), key=Way.load) if best.is_gone else best

    def _way_of(self, key: Any) -> Way:
        number = key if isinstance(key, int) else zlib.crc32(repr(key).encode())
        way = self._readers[number % len(self._readers)]
        if not way.is_gone:
            return way
        left = self._left()  # those of other keys stay where they are
        return left[number % len(left)]

    def _left(self) -> list[Way]:
        return [way for way in self._readers if not way.is_gone] or self._readers

    def connect(self) -> None:
        """Open the lanes."""
        for way in self._ways:
            if isinstance(way.queue, Lane):
                way.queue.connect()

    def disconnect(self) -> None:
        for way in self._ways:
            if isinstance(way.queue, Lane):
                way.queue.disconnect()

    def depth(self) -> int:
        return sum(way.depth() for way in self._ways)

    def close(self) -> None:
        for way in self._ways:
            way.queue.close()


def connect(ends: Iterable[WritingEnd]) -> None:
    """To be called by who writes, when all nodes are ready."""
    for end in ends:
        if isinstance(end, SpreadQueue):
            end.connect()


def disconnect(ends: Iterable[WritingEnd]) -> None:
    """To be called at the end by who writes and lives on: it closes lanes that the run's end left open."""
    for end in ends:
        if isinstance(end, SpreadQueue):
            end.disconnect()
