"""Bounded queues between processes, for the small messages that say which slot holds what.

A queue is a ring of bytes in shared memory with two locks and one semaphore: no feeder thread, no pipe whose
size bounds what fits, an exact capacity, and a depth that anybody can read. One hop costs a lock on either
side, a memory copy and a wake-up.

Writers and readers have a lock each (M. M. Michael and M. L. Scott, Simple, fast, and practical non-blocking
and blocking concurrent queue algorithms, PODC 1996): with one for both, a client had to wait milliseconds for
a reader that the kernel had put aside while it held the lock.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Lock
from typing import Any

from rnb.transport.fabric import EndOfStream, QueueFull
from rnb.transport.local.shared_memory import SharedMemory

BYTES_PER_MESSAGE = 16_384
"""Room in the ring for each message of the capacity, the longest paths among them; a larger message uses the
room of several. Memory is taken when it is first written to."""

LOCK_TIMEOUT_S = 5.0
"""The lock is held for microseconds, so waiting this long means that its holder was killed."""
DEAD_HOLDER_S = 1.0
"""The same for who knows that a process has died: less, so that the others wait for no more than that."""

POLL_INTERVAL_S = 10e-6

_LENGTH_BYTES = 8

# What the header holds. Positions count bytes since the start and never wrap; their remainder is the place in
# the ring. Each side's words are on a cache line of their own, and only that side writes them. A message is
# there when _WRITTEN has passed it, and gone when _READ has: one store each, which a kill does not split. The
# numbers are for the depth alone.
_WRITTEN, _NUM_PUT, _NUM_WRITERS, _KNOWN_FREE, _IS_WIDE = range(5)
_READ, _NUM_TAKEN = 8, 9
_HEADER_WORDS = 16


class QueueBroken(RuntimeError):
    """A process was killed while it held the queue's lock."""


class MessageQueue:
    """A bounded many-to-many queue of picklable messages.

    Every writer calls `close` once. When the last one has, and the messages are used up, every reader's
    `take` raises EndOfStream, however many readers there are. Who may put messages back later must hold the
    queue open until then, as one more writer.

    Nobody waits for a process that was killed while it held a lock once `sift` was called after its death.
    """

    def __init__(self, name: str, *, capacity: int, num_writers: int, context: BaseContext) -> None:
        """Make a queue of at most `capacity` messages, named as error messages should name it."""
        self.name = name
        self.capacity = capacity
        self._put_lock, self._get_lock = context.Lock(), context.Lock()
        self._wakeups = context.Semaphore(0)
        self._header_memory = SharedMemory(_HEADER_WORDS * 8)
        self._ring_memory = SharedMemory(max(1 << 20, capacity * BYTES_PER_MESSAGE))
        self._map()
        self._header[_NUM_WRITERS] = num_writers

    def _map(self) -> None:
        self._header = memoryview(self._header_memory.buffer).cast("q")
        self._ring = memoryview(self._ring_memory.buffer)
        self._ring_bytes = self._ring_memory.num_bytes

    def __getstate__(self) -> dict[str, Any]:
        kept = ("name", "capacity", "_put_lock", "_get_lock", "_wakeups", "_header_memory", "_ring_memory")
        return {key: self.__dict__[key] for key in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def depth(self) -> int:
        """How many messages wait now."""
        num_taken: int = self._header[_NUM_TAKEN]  # first, or it could pass the other one
        return self._header[_NUM_PUT] - num_taken

    def put(self, message: Any) -> None:
        """Append a message, or raise QueueFull at once."""
        self.put_pickled(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))

    def put_pickled(self, data: bytes | memoryview) -> None:
        """The same for a message that somebody else has pickled."""
        self._append(data, most=sys.maxsize if self._header[_IS_WIDE] else self.capacity)

    def put_back(self, message: Any) -> None:
        """Append a message that was taken before, whatever the capacity is."""
        self._append(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL), most=sys.maxsize)

    def widen(self) -> None:
        """From now on whatever the capacity is, as far as there is room."""
        self._header[_IS_WIDE] = 1

    def _append(self, data: bytes | memoryview, *, most: int) -> None:
        needed = len(data) + _LENGTH_BYTES
        if needed > self._ring_bytes:
            raise ValueError(f"{self.name}: a message of {len(data)} bytes; the queue has {self._ring_bytes}")
        self._acquire(self._put_lock)
        try:
            if self.depth() >= most or not self._has_room(needed):
                raise QueueFull(self.name)
            written = self._header[_WRITTEN]
            self._write(written, len(data).to_bytes(_LENGTH_BYTES, "little"))
            self._write(written + _LENGTH_BYTES, data)
            self._header[_WRITTEN] = written + needed
            self._header[_NUM_PUT] += 1
        finally:
            self._put_lock.release()
        self._wakeups.release()

    def _has_room(self, num_bytes: int) -> bool:
        """Whether the ring has so much room; the caller holds the writers' lock."""
        end = self._header[_WRITTEN] + num_bytes - self._ring_bytes
        if end > self._header[_KNOWN_FREE]:
            # Only the readers' lock orders their copying before the writing that will follow.
            self._acquire(self._get_lock)
            self._header[_KNOWN_FREE] = self._header[_READ]
            self._get_lock.release()
        return bool(end <= self._header[_KNOWN_FREE])

    def of_reader(self, number: int) -> MessageQueue:
        """All readers take from the same queue."""
        return self

    def take(self, timeout_s: float, *, poll_s: float = 0, claim: Callable[[Any], None] | None = None) -> Any:
        """Take the oldest message; raise TimeoutError after `timeout_s`, EndOfStream at the end.

        For the first `poll_s` of the wait it looks often instead of sleeping until it is woken. `claim` is
        called with the message before the queue forgets it, so that whoever dies in between has claimed it.
        """
        if not self._poll(min(poll_s, timeout_s)) and not self._wakeups.acquire(True, timeout_s):
            raise TimeoutError
        self._acquire(self._get_lock)
        try:
            read = self._header[_READ]
            if read == self._header[_WRITTEN]:
                self._tell_end()
            length, data = self._message_at(read)
            if claim is not None:
                claim(pickle.loads(data))
            self._header[_READ] = read + length
            self._header[_NUM_TAKEN] += 1
        finally:
            self._get_lock.release()
        return pickle.loads(data)

    def _tell_end(self) -> None:
        """To a reader that was woken and finds no message."""
        if self._header[_NUM_WRITERS]:
            raise TimeoutError  # one wake-up too many, of `sift`
        # Only the last close wakes a reader without a message: pass the news on to the next reader.
        self._wakeups.release()
        raise EndOfStream

    def sift(self, is_dropped: Callable[[Any], bool]) -> None:
        """After a process that used the queue has died: set right what it left half done, and drop messages.

        What it had put or taken is whole or not begun; a lock that it held is free again, and no wake-up of
        it is missing.
        """
        with self._seized(self._put_lock), self._seized(self._get_lock):
            start, end = self._header[_READ], self._header[_WRITTEN]
            kept: list[bytes] = []
            while start < end:
                length, data = self._message_at(start)
                if not is_dropped(pickle.loads(data)):
                    kept.append(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
                start += length
            first = end - sum(map(len, kept))
            self._write(first, b"".join(kept))
            self._header[_READ] = first
            self._header[_NUM_PUT] = self._header[_NUM_TAKEN] + len(kept)
            for _ in range(len(kept) - self._wakeups.get_value()):
                self._wakeups.release()

    @contextlib.contextmanager
    def _seized(self, lock: Lock) -> Iterator[None]:
        """Hold a lock, though who held it may be dead."""
        lock.acquire(True, DEAD_HOLDER_S)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):  # its holder was only slow
                lock.release()

    def _poll(self, poll_s: float) -> bool:
        deadline = time.monotonic() + poll_s
        while not self._wakeups.acquire(False):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_INTERVAL_S)
        return True

    def close(self) -> None:
        """Say that this writer will put nothing more."""
        self._acquire(self._put_lock)
        try:
            self._header[_NUM_WRITERS] -= 1
            if self._header[_NUM_WRITERS] == 0:
                self._wakeups.release()
        finally:
            self._put_lock.release()

    def _acquire(self, lock: Lock) -> None:
        if not lock.acquire(True, LOCK_TIMEOUT_S):
            raise QueueBroken(f"{self.name}: a process was killed while it held the lock")

    def _write(self, position: int, data: bytes | memoryview) -> None:
        start = position % self._ring_bytes
        head = min(len(data), self._ring_bytes - start)
        self._ring[start : start + head] = data[:head]
        self._ring[: len(data) - head] = data[head:]

    def _message_at(self, position: int) -> tuple[int, bytes]:
        """How many bytes it takes in the ring, and its own; the caller holds the readers' lock."""
        length = int.from_bytes(self._read(position, _LENGTH_BYTES), "little")
        return _LENGTH_BYTES + length, self._read(position + _LENGTH_BYTES, length)

    def _read(self, position: int, num_bytes: int) -> bytes:
        start = position % self._ring_bytes
        head = min(num_bytes, self._ring_bytes - start)
        return bytes(self._ring[start : start + head]) + bytes(self._ring[: num_bytes - head])
