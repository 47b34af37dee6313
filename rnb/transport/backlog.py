"""The writing end of a queue with readers on several nodes, for who sends faster than they serve."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from rnb.transport.fabric import QueueFull, Stop, Stopped
from rnb.transport.message import Message
from rnb.transport.spread_queue import MOST_LOOKED, SpreadQueue, Way

LEAST_AHEAD = 2.0
"""Messages that may always wait for each reader of a node."""
AHEAD_S = 0.1
"""And as many as it takes in this time: what is known here of another node is up to 10 ms old."""
MOVE_INTERVAL_S = 0.002
LEARN_INTERVAL_S = 0.05


class BacklogQueue(SpreadQueue):
    """Keeps here what would only wait on a node, until one of them has little left to do.

    So a node that is slower gets less, and none is left with work when the others are done. As long as the
    readers keep up nothing is kept. As much is kept as a queue may hold; the rest goes on, and where the
    queue there is full, too, that is as ever.
    """

    def __init__(self, ways: Sequence[Way], *, capacity: int, stop: Stop) -> None:
        super().__init__(ways, key_of=None)
        self._capacity, self._stop = capacity, stop
        self._most_misses = -(-len(self._readers) // MOST_LOOKED)
        self._ahead = LEAST_AHEAD
        self._num_put = self._num_taken = 0
        self._learned_s = 0.0
        self._failure: Exception | None = None
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._kept: deque[Message] = deque()
        self._changed = threading.Condition()
        self._mover: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        own = ("_kept", "_changed", "_mover")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def put(self, message: Message) -> None:
        with self._changed:
            self._check()
            self._learned_s = self._learned_s or time.monotonic()
            self._kept.append(message)
            if len(self._kept) == 1 or len(self._kept) > self._capacity:
                self._move_or_refuse()
            if len(self._kept) == 1:
                self._wake_mover()

    def _move_or_refuse(self) -> None:
        try:
            self._move()
        except QueueFull:
            self._kept.pop()  # what is refused does not come later
            raise

    def _wake_mover(self) -> None:
        if self._mover is None:
            self._mover = threading.Thread(target=self._move_all, daemon=True)
            self._mover.start()
        self._changed.notify()

    def _move(self) -> None:
        """Put the oldest where there is room, or where there is least to do if too many are kept."""
        num_misses = 0
        while self._kept and num_misses < self._most_misses:
            way, is_too_much = self._next(), len(self._kept) > self._capacity
            if not is_too_much and way.load() >= self._ahead:
                num_misses += 1
                continue
            try:
                way.queue.put(self._kept[0])
            except QueueFull:
                if is_too_much:
                    raise
                num_misses += 1
                continue
            self._kept.popleft()
            self._num_put += 1

    def _move_all(self) -> None:
        try:
            while not self._is_closed:
                with self._changed:
                    self._changed.wait_for(lambda: self._kept or self._is_closed)
                    self._learn()
                    self._move()
                self._stop.check()
                time.sleep(MOVE_INTERVAL_S)
        except Stopped:
            pass  # who puts hears of it, too
        except Exception as error:
            self._failure = error

    def _learn(self) -> None:
        """How much to give the readers ahead, from what they have taken since the last time."""
        seconds = time.monotonic() - self._learned_s
        if seconds < LEARN_INTERVAL_S:
            return
        num_taken = self._num_put - super().depth()
        per_s = (num_taken - self._num_taken) / seconds / len(self._readers)
        self._ahead = max(self._ahead, AHEAD_S * per_s)
        self._learned_s, self._num_taken = self._learned_s + seconds, num_taken

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def depth(self) -> int:
        return len(self._kept) + super().depth()

    def close(self) -> None:
        with self._changed:
            while self._kept:
                self._check()
                self._stop.check()
                self._changed.wait(MOVE_INTERVAL_S)
            self._is_closed = True
            self._changed.notify()
        super().close()
