"""What the processes of a test leave in shared memory, whatever else runs on the machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

SHARED = "/dev/shm"
PERIOD_S = 0.5
"""RnB makes its semaphores before it starts a process, and keeps them to the end."""


class SharedMemoryWatch:
    """Looks, in a thread, which files in /dev/shm the processes with `mark` in their environment map."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._pids: set[int] = set()
        self.inodes: set[int] = set()
        """Of the files seen so far."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_around, daemon=True)
        self._thread.start()

    def end(self) -> list[str]:
        """The files that those processes mapped, or that carry their pid, and that are still there."""
        self._ended.set()
        self._thread.join()
        with os.scandir(SHARED) as entries:
            return [entry.path for entry in entries if self._is_mine(entry)]

    def _is_mine(self, entry: os.DirEntry[str]) -> bool:
        # By inode, since a semaphore is mapped under the name that it had before it got its own.
        return entry.inode() in self.inodes or named_for(entry.name) in self._pids

    def _look_around(self) -> None:
        while not self._ended.wait(PERIOD_S):
            for pid in pids_with(self._mark):
                self._pids.add(pid)
                self.inodes |= mapped_inodes(pid)


def named_for(name: str) -> int | None:
    """The pid in the names that PyTorch (torch_<pid>_…) and CUDA (cuda.shm.<user>.<pid in hex>.<n>) give."""
    try:
        if name.startswith("torch_"):
            return int(name.split("_")[1])
        if name.startswith("cuda.shm."):
            return int(name.split(".")[3], 16)
    except (ValueError, IndexError):
        pass
    return None


def pids_with(mark: str) -> Iterator[int]:
    """The processes whose environment has `mark` in it, as 'NAME=value'."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return (pid for pid in pids if mark in read(f"/proc/{pid}/environ"))


def mapped_inodes(pid: int) -> set[int]:
    lines = read(f"/proc/{pid}/maps").splitlines()
    return {int(line.split()[4]) for line in lines if f" {SHARED}/" in line}


def read(path: str) -> str:
    """A file of /proc; '' when its process has ended."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
