"""Memory that the driver and the processes it spawns map together."""

import mmap
import os
from multiprocessing import reduction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class SharedMemory:
    """Zero-filled anonymous memory; pass it to a spawned process as an argument and that process maps it too.

    It has no name in the file system, so the kernel frees it with its last user, however that one ends.
    """

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
        return _attach, (reduction.DupFd(self._fd), self.num_bytes)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)


def _attach(duplicate: Any, num_bytes: int) -> SharedMemory:
    memory = SharedMemory.__new__(SharedMemory)
    memory._fd = duplicate.detach()
    memory._map(num_bytes)
    return memory
