"""The bytes of a request as a file that decoders open by its path, though it has no name.

It is anonymous memory (memfd_create(2)), reached through the server's entry in /proc, so that the kernel
frees it with the server, however that one ends. A file is used again for the next request: making one and
freeing its memory takes several times as long as writing 4 KiB.
"""

from __future__ import annotations

import os

KEPT_BYTES = 1 << 16
"""A file that waits for its next request keeps no more."""


class PayloadFile:
    """Of one request at a time."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("rnb-payload", os.MFD_CLOEXEC)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self.num_bytes = 0

    def write(self, data: bytes, number: int) -> None:
        """Hold these bytes from now on, and tell by `number` that they are others than before.

        Raises OSError where there is no memory left.
        """
        view, start = memoryview(data), 0
        while start < len(view):
            start += os.pwrite(self._fd, view[start:], start)
        if self.num_bytes != len(data):
            os.ftruncate(self._fd, len(data))
        self.num_bytes = len(data)
        os.utime(self._fd, ns=(number, number))  # whoever remembers a file by its times knows it is another

    def empty(self) -> None:
        os.ftruncate(self._fd, 0)
        self.num_bytes = 0

    def close(self) -> None:
        os.close(self._fd)


class PayloadFiles:
    """As many as are in use at once."""

    def __init__(self) -> None:
        self._free: list[PayloadFile] = []
        self._num_written = 0

    def hold(self, data: bytes) -> PayloadFile:
        """A file with these bytes. Raises OSError where no memory, or no file descriptor, is left for it."""
        file = self._free.pop() if self._free else PayloadFile()
        self._num_written += 1
        try:
            file.write(data, self._num_written)
        except OSError:
            file.close()
            raise
        return file

    def let_go(self, file: PayloadFile) -> None:
        """Nobody reads it any more."""
        if file.num_bytes > KEPT_BYTES:
            file.empty()
        self._free.append(file)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()
