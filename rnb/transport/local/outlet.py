"""A stream of small records from one process to the one that started it.

Each process has one of its own, so that one killed in the middle of a record harms no other: what it had
written whole arrives, then the end of the stream. The reader never waits, and can be woken by a selector.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from multiprocessing import reduction
from typing import Any, NamedTuple

PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 18
_HEAD = struct.Struct("<IBq")


class Record(NamedTuple):
    key: int
    kind: int
    """Up to 255."""
    data: bytes


class Outlet:
    """The writing end, for all threads of its process."""

    def __init__(self, fd: int) -> None:
        self._fd, self._lock = fd, threading.Lock()

    def send(self, key: int, kind: int, data: bytes = b"") -> None:
        """Write a record; waits where the reader is far behind. Raises OSError when that is gone."""
        view = memoryview(_HEAD.pack(len(data), kind, key) + data)
        with self._lock:
            while view:
                view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """In the process that started the writer, which has its own copy."""
        os.close(self._fd)

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach, (reduction.DupFd(self._fd),)


class Collector:
    """The reading end."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._rest = b""
        self.has_ended = False
        """Whether no writer is left, and all was read."""
        self.is_dry = self.is_closed = False
        """Whether there was nothing to read the last time."""

    def fileno(self) -> int:
        return self._fd

    def receive(self) -> list[Record]:
        """Some records that have come; none where none has, or at the end."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            self.is_dry = True
            return []
        self.is_dry = self.has_ended = not data
        data, start, records = self._rest + data if self._rest else data, 0, []
        while len(data) - start >= _HEAD.size:
            length, kind, key = _HEAD.unpack_from(data, start)
            end = start + _HEAD.size + length
            if end > len(data):
                break
            records.append(Record(key, kind, data[start + _HEAD.size : end]))
            start = end
        self._rest = data[start:]
        return records

    def close(self) -> None:
        self.is_closed = True
        os.close(self._fd)


def outlet() -> tuple[Collector, Outlet]:
    """Both ends."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return Collector(reading), Outlet(writing)


def _attach(duplicate: Any) -> Outlet:
    return Outlet(duplicate.detach())
