"""What one reader of a queue has taken and not yet dealt with, in memory that stays when the reader dies."""

from __future__ import annotations

import struct
from typing import Any

from rnb.transport.local.shared_memory import SharedMemory

JOURNAL_BYTES = 1 << 24
"""Of address space; only what is written takes memory."""


class Journal:
    """Messages one after the other, each struck out when it is dealt with. For one thread.

    When all are struck out it begins anew, so it holds no more than what is under way.
    """

    _HEAD = struct.Struct("<qq")
    _FIRST = 8

    def __init__(self, num_bytes: int = JOURNAL_BYTES) -> None:
        self._memory = SharedMemory(num_bytes)
        self._num_open, self._end = 0, self._FIRST

    def __getstate__(self) -> dict[str, Any]:
        return {"_memory": self._memory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._num_open, self._end = 0, self._FIRST

    def note(self, data: bytes) -> int:
        """Keep a message; returns what `strike` needs. Raises ValueError where there is no room for it."""
        if self._num_open == 0:
            self._set_end(self._FIRST)  # before the old ones are overwritten: this reader may die meanwhile
        start, end = self._end, self._end + self._HEAD.size + len(data)
        if end > self._memory.num_bytes:
            raise ValueError(f"messages of {end} bytes are under way; a journal has {self._memory.num_bytes}")
        self._memory.buffer[start + self._HEAD.size : end] = data
        self._HEAD.pack_into(self._memory.buffer, start, 1, len(data))
        self._set_end(end)
        self._num_open += 1
        return start

    def strike(self, entry: int) -> None:
        self._HEAD.pack_into(self._memory.buffer, entry, 0, self._length(entry))
        self._num_open -= 1

    def left(self) -> list[bytes]:
        """The messages that are not struck out; asked of a reader that is gone."""
        found, start = [], self._FIRST
        (end,) = struct.unpack_from("<q", self._memory.buffer, 0)
        while start < end:
            is_open, length = self._HEAD.unpack_from(self._memory.buffer, start)
            start += self._HEAD.size
            if is_open:
                found.append(self._memory.buffer[start : start + length])
            start += length
        return found

    def clear(self) -> None:
        self._set_end(self._FIRST)
        self._num_open = 0

    def _length(self, entry: int) -> int:
        length: int = self._HEAD.unpack_from(self._memory.buffer, entry)[1]
        return length

    def _set_end(self, end: int) -> None:
        struct.pack_into("<q", self._memory.buffer, 0, end)
        self._end = end
