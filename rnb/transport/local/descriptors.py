"""How a process that is being started gets the file descriptors of what it is told."""

from __future__ import annotations

import os
from multiprocessing import context, reduction
from typing import Any

MOST_SENT = 200
"""A forked process gets its descriptors in one message, of which the kernel takes 253 (unix(7), SCM_MAX_FD);
that leaves room for those of other things."""


def passed(fd: int) -> Any:
    """What to pickle for a descriptor; its `detach` gives the process one of its own.

    Beyond MOST_SENT the process opens it anew by its name, so this one has to keep it open until then.
    """
    starting: Any = context.get_spawning_popen()
    num_sent = len(getattr(starting, "_fds", ()))
    return reduction.DupFd(fd) if num_sent < MOST_SENT else _Named(f"/proc/{os.getpid()}/fd/{fd}")


class _Named:
    def __init__(self, path: str) -> None:
        self._path = path

    def detach(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
