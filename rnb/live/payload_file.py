"""The bytes of a request as a file that decoders open by its path, though it has no name.

It is anonymous memory (memfd_create(2)), reached through the server's entry in /proc, so that the kernel
frees it with the server, however that one ends.
"""

from __future__ import annotations

import os


class PayloadFile:
    """There until it is closed."""

    def __init__(self, data: bytes) -> None:
        """Raises OSError where there is no memory, or no file descriptor, left for it."""
        self._fd = os.memfd_create("rnb-payload", os.MFD_CLOEXEC)
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._fd)
