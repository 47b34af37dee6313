"""Bounded queues between processes, for the small messages that say which slot holds what.

A queue is a ring of bytes in shared memory with two locks and one semaphore: no feeder thread, no pipe whose
size bounds what fits, an exact capacity, and a depth that anybody can read. One hop costs a lock on either
side, a memory copy and a wake-up.

Writers and readers have a lock each (M. M. Michael and M. L. Scott, Simple, fast, and practical non-blocking
and blocking concurrent queue algorithms, PODC 1996): with one for both, a client had to wait milliseconds for
a reader that the kernel had put aside while it held the lock.
"""

from __future__ import annotations

import pickle
import sys
import time
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Lock
from typing import Any

from rnb.transport.fabric import EndOfStream, QueueFull
from rnb.transport.local.journal import Journal
from rnb.transport.local.shared_memory import SharedMemory

BYTES_PER_MESSAGE = 16_384
"""Room in the ring for each message of the capacity, the longest paths among them; a larger message uses the
room of several. Memory is taken when it is first written to."""

LOCK_TIMEOUT_S = 5.0
"""The lock is held for microseconds, so waiting this long means that its holder was killed."""

POLL_INTERVAL_S = 10e-6

_LENGTH_BYTES = 8

# What the header holds. Positions count bytes since the start and never wrap; their remainder is the place in
# the ring. Each side's words are on a cache line of their own, and only that side writes them.
_WRITTEN, _NUM_PUT, _NUM_WRITERS, _KNOWN_FREE = range(4)
_READ, _NUM_TAKEN = 8, 9
_HEADER_WORDS = 16


class QueueBroken(RuntimeError):
    """A process was killed while it held the queue's lock."""


class Lease:
    """A message that was taken from a queue."""

    __slots__ = ("_entry", "_queue", "message")

    def __init__(self, message: Any, queue: MessageQueue, entry: int | None) -> None:
        self.message, self._queue, self._entry = message, queue, entry

    def done(self) -> None:
        """The message is dealt with."""
        if self._entry is not None:
            self._queue.strike(self._entry)
            self._entry = None

    def give_back(self) -> None:
        """Put it back, behind those that wait, whatever the capacity is."""
        self._queue.put_back(self.message)
        self.done()


class MessageQueue:
    """A bounded many-to-many queue of picklable messages.

    Every writer calls `close` once. When the last one has, and the messages are used up, every reader's
    `take` raises EndOfStream, however many readers there are. Who may put messages back later must hold the
    queue open until then, as one more writer.

    A reader that works on a copy with a journal (`journalled`) leaves a trace of what it took until it is
    done with it, so that `recover` can give that back when the reader has died. A message may then be worked
    on twice, but is never lost.
    """

    def __init__(self, name: str, *, capacity: int, num_writers: int, context: BaseContext) -> None:
        """Make a queue of at most `capacity` messages, named as error messages should name it."""
        self._journal: Journal | None = None
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
        return {key: self.__dict__[key] for key in (*kept, "_journal")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def depth(self) -> int:
        """How many messages wait now."""
        num_taken: int = self._header[_NUM_TAKEN]  # first, or it could pass the other one
        return self._header[_NUM_PUT] - num_taken

    def journalled(self, journal: Journal) -> MessageQueue:
        """The same queue, for one reader that keeps a journal."""
        queue = MessageQueue.__new__(MessageQueue)
        queue.__setstate__({**self.__getstate__(), "_journal": journal})
        return queue

    def put(self, message: Any) -> None:
        """Append a message, or raise QueueFull at once."""
        self._append(message, most=self.capacity)

    def put_back(self, message: Any) -> None:
        """Append a message that was taken before, whatever the capacity is."""
        self._append(message, most=sys.maxsize)

    def _append(self, message: Any, *, most: int) -> None:
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
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

    def take(self, timeout_s: float, *, poll_s: float = 0) -> Lease:
        """Take the oldest message; raise TimeoutError after `timeout_s`, EndOfStream at the end.

        For the first `poll_s` of the wait it looks often instead of sleeping until it is woken.
        """
        if not self._poll(min(poll_s, timeout_s)) and not self._wakeups.acquire(True, timeout_s):
            raise TimeoutError
        self._acquire(self._get_lock)
        try:
            if self.depth() == 0:
                # Only the last close wakes a reader without a message: pass the news on to the next reader.
                self._wakeups.release()
                raise EndOfStream
            read = self._header[_READ]
            length = int.from_bytes(self._read(read, _LENGTH_BYTES), "little")
            data = self._read(read + _LENGTH_BYTES, length)
            # Before the ring forgets it; so a reader that dies in between leaves it in both.
            entry = None if self._journal is None else self._journal.note(data)
            self._header[_READ] = read + _LENGTH_BYTES + length
            self._header[_NUM_TAKEN] += 1
        except ValueError:
            self._wakeups.release()  # the journal has no room: the message stays for who has
            raise
        finally:
            self._get_lock.release()
        return Lease(pickle.loads(data), self, entry)

    def strike(self, entry: int) -> None:
        """A message of this reader's journal is dealt with."""
        assert self._journal is not None
        self._journal.strike(entry)

    def recover(self, journal: Journal) -> int:
        """Put back what a reader that has died had taken and not dealt with; returns how many messages."""
        left = journal.left()
        for data in left:
            self.put_back(pickle.loads(data))
        journal.clear()
        return len(left)

    def _poll(self, poll_s: float) -> bool:
        deadline = time.monotonic() + poll_s
        while not self._wakeups.acquire(False):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_INTERVAL_S)
        return True

    def open(self) -> None:
        """Say that one more writer will put messages; raises EndOfStream after the last one has closed."""
        self._acquire(self._put_lock)
        try:
            if self._header[_NUM_WRITERS] == 0:
                raise EndOfStream(f"{self.name} is closed")
            self._header[_NUM_WRITERS] += 1
        finally:
            self._put_lock.release()

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

    def _write(self, position: int, data: bytes) -> None:
        start = position % self._ring_bytes
        head = min(len(data), self._ring_bytes - start)
        self._ring[start : start + head] = data[:head]
        self._ring[: len(data) - head] = data[head:]

    def _read(self, position: int, num_bytes: int) -> bytes:
        start = position % self._ring_bytes
        head = min(num_bytes, self._ring_bytes - start)
        return bytes(self._ring[start : start + head]) + bytes(self._ring[: num_bytes - head])
