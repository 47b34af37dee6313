"""Bounded queues between processes, for the small messages that say which slot holds what.

A queue is a ring of bytes in shared memory with one lock and one semaphore: no feeder thread, no pipe whose
size bounds what fits, an exact capacity, and a depth that anybody can read. One hop costs a lock, a memory
copy and a wake-up.
"""

import pickle
from multiprocessing.context import BaseContext
from typing import Any

from rnb.shared_memory import SharedMemory

BYTES_PER_MESSAGE = 1024
"""Room in the ring for each message of the capacity; a larger message uses the room of several."""

LOCK_TIMEOUT_S = 5.0
"""The lock is held for microseconds, so waiting this long means that its holder was killed."""

_LENGTH_BYTES = 8


class QueueFull(Exception):
    """A put into a queue that holds as much as it may."""


class QueueBroken(RuntimeError):
    """A process was killed while it held the queue's lock."""


class EndOfStream(Exception):
    """All writers have closed the queue and it is empty."""


class MessageQueue:
    """A bounded many-to-many queue of picklable messages.

    Every writer calls `close` once. When the last one has, and the messages are used up, every reader's
    `get` raises EndOfStream, however many readers there are.
    """

    def __init__(self, name: str, *, capacity: int, num_writers: int, context: BaseContext) -> None:
        """Make a queue of at most `capacity` messages, named as error messages should name it."""
        self.name = name
        self.capacity = capacity
        self._lock = context.Lock()
        self._wakeups = context.Semaphore(0)
        self._header_memory = SharedMemory(4 * 8)
        self._ring_memory = SharedMemory(max(1 << 20, capacity * BYTES_PER_MESSAGE))
        self._map()
        self._header[3] = num_writers

    def _map(self) -> None:
        # Positions count bytes since the start and never wrap; their remainder is the place in the ring.
        self._header = self._header_memory.array(
            "int64", (4,)
        )  # read position, write position, depth, writers
        self._ring = memoryview(self._ring_memory.buffer)
        self._ring_bytes = self._ring_memory.num_bytes

    def __getstate__(self) -> dict[str, Any]:
        kept = ("name", "capacity", "_lock", "_wakeups", "_header_memory", "_ring_memory")
        return {key: self.__dict__[key] for key in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def depth(self) -> int:
        """How many messages wait now."""
        return int(self._header[2])

    def put(self, message: Any) -> None:
        """Append a message, or raise QueueFull at once."""
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        needed = len(data) + _LENGTH_BYTES
        if needed > self._ring_bytes:
            raise ValueError(f"{self.name}: a message of {len(data)} bytes; the queue has {self._ring_bytes}")
        self._acquire()
        try:
            read, write, depth, _ = self._header.tolist()
            if depth >= self.capacity or write + needed - read > self._ring_bytes:
                raise QueueFull(self.name)
            self._write(write, len(data).to_bytes(_LENGTH_BYTES, "little"))
            self._write(write + _LENGTH_BYTES, data)
            self._header[1] = write + needed
            self._header[2] = depth + 1
        finally:
            self._lock.release()
        self._wakeups.release()

    def get(self, timeout_s: float) -> Any:
        """Take the oldest message; raise TimeoutError after `timeout_s`, EndOfStream at the end."""
        if not self._wakeups.acquire(True, timeout_s):
            raise TimeoutError
        self._acquire()
        try:
            read, _, depth, _ = self._header.tolist()
            if depth == 0:
                # Only the last close wakes a reader without a message: pass the news on to the next reader.
                self._wakeups.release()
                raise EndOfStream
            length = int.from_bytes(self._read(read, _LENGTH_BYTES), "little")
            data = self._read(read + _LENGTH_BYTES, length)
            self._header[0] = read + _LENGTH_BYTES + length
            self._header[2] = depth - 1
        finally:
            self._lock.release()
        return pickle.loads(data)

    def close(self) -> None:
        """Say that this writer will put nothing more."""
        self._acquire()
        try:
            self._header[3] -= 1
            if self._header[3] == 0:
                self._wakeups.release()
        finally:
            self._lock.release()

    def _acquire(self) -> None:
        if not self._lock.acquire(True, LOCK_TIMEOUT_S):
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
