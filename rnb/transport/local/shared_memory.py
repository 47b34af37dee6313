"""Memory that the driver and the processes it spawns map together.

It is anonymous (memfd_create(2)): it has no name in the file system, so the kernel frees it with its last
user, however that one ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from multiprocessing import reduction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnb.transport.local.descriptors import passed


class SharedMemory:
    """Zero-filled memory; pass it to a spawned process as an argument and that process maps it too."""

    def __init__(self, num_bytes: int) -> None:
        self._fd = os.memfd_create("rnb", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, max(num_bytes, 1))
        self._map(num_bytes)

    def _map(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes
        self.buffer = mmap.mmap(self._fd, max(num_bytes, 1))

    def array(self, dtype: DTypeLike, shape: tuple[int, ...], offset_bytes: int = 0) -> NDArray[Any]:
        """A writable view of `shape` elements of `dtype` that starts `offset_bytes` into the memory."""
        count = int(np.prod(shape))
        return np.frombuffer(self.buffer, dtype, count, offset_bytes).reshape(shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach, (passed(self._fd), self.num_bytes)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)


def _attach(duplicate: Any, num_bytes: int) -> SharedMemory:
    memory = SharedMemory.__new__(SharedMemory)
    memory._fd = duplicate.detach()
    memory._map(num_bytes)
    return memory


class SharedArray:
    """A read-only copy of an array, shared; it is passed on in a few bytes, however long it is."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._dtype, self._shape = values.dtype, values.shape
        self._memory = SharedMemory(values.nbytes)
        self._map()
        self.values[...] = values

    def _map(self) -> None:
        self.values = self._memory.array(self._dtype, self._shape)

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("_dtype", "_shape", "_memory")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()


class SharedTexts(Sequence[str]):
    """A read-only copy of texts, shared."""

    def __init__(self, texts: Sequence[str]) -> None:
        encoded = [text.encode(errors="surrogateescape") for text in texts]
        self._ends = SharedArray(np.cumsum([0, *map(len, encoded)], dtype=np.int64))
        data = b"".join(encoded)
        self._memory = SharedMemory(len(data))
        self._memory.buffer[: len(data)] = data

    def __len__(self) -> int:
        return len(self._ends.values) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        start, end = self._ends.values[index : index + 2].tolist()
        return self._memory.buffer[start:end].decode(errors="surrogateescape")


class SharedLog:
    """Records that several processes append, and that stay when those are gone.

    One that its writer could not end, since it was killed, is left out.
    """

    _HEAD = struct.Struct("<qq")

    def __init__(self) -> None:
        self._fd = os.memfd_create("rnb", os.MFD_CLOEXEC)
        # The kernel moves to the end and writes in one go, so records of several writers never mix.
        fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_APPEND)
        self._mark = os.urandom(_MARK_BYTES)
        self._followed = 0

    def append(self, key: int, data: bytes) -> None:
        os.write(self._fd, self._mark + self._HEAD.pack(key, len(data)) + data)

    def read(self) -> Iterator[tuple[int, bytes]]:
        """All records so far, in the order in which they came."""
        return ((key, data) for key, data, _ in self._records(0))

    def follow(self) -> Iterator[tuple[int, bytes]]:
        """Those that have come since this process followed it last."""
        for key, data, following in self._records(self._followed):
            self._followed = following
            yield key, data

    def _records(self, start: int) -> Iterator[tuple[int, bytes, int]]:
        """Each with where the next one starts."""
        size, head = os.fstat(self._fd).st_size, _MARK_BYTES + self._HEAD.size
        content = mmap.mmap(self._fd, size, access=mmap.ACCESS_READ) if size > start else b""
        while len(content) - start >= head:
            key, length = self._HEAD.unpack_from(content, start + _MARK_BYTES)
            following = content.find(self._mark, start + head)
            end = len(content) if following < 0 else following
            if end - start - head == length:
                yield key, content[start + head : end], end
            elif following < 0:
                return
            start = end

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach_log, (reduction.DupFd(self._fd), self._mark)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)


def _attach_log(duplicate: Any, mark: bytes) -> SharedLog:
    log = SharedLog.__new__(SharedLog)
    log._fd, log._mark, log._followed = duplicate.detach(), mark, 0
    return log


_MARK_BYTES = 16
"""Drawn for each log, and before each of its records: no data has it by chance."""
