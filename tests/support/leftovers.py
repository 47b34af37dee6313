"""What the processes of a test leave in shared memory, whatever else runs on the machine."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

SHARED = "/dev/shm"
PERIOD_S = 0.5
"""RnB makes its semaphores before it starts a process, and keeps them to the end."""


class SharedMemoryWatch:
    """Looks, in a thread, which files in /dev/shm some processes map."""

    def __init__(self, pids: Callable[[], Iterable[int]], *, period_s: float = PERIOD_S) -> None:
        """`pids`: those processes at that time."""
        self._pids_now, self._period_s = pids, period_s
        self._pids: set[int] = set()
        self.inodes: set[int] = set()
        """Of the files seen so far."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_around, daemon=True)
        self._thread.start()

    def end(self, *, but: Collection[int] = ()) -> list[str]:
        """The files that those processes mapped, or that carry their pid, and that are still there.

        `but`: the inodes of others, which were there before.
        """
        self._ended.set()
        self._thread.join()
        with os.scandir(SHARED) as entries:
            return [entry.path for entry in entries if self._is_mine(entry) and entry.inode() not in but]

    def _is_mine(self, entry: os.DirEntry[str]) -> bool:
        # By inode, since a semaphore is mapped under the name that it had before it got its own.
        return entry.inode() in self.inodes or named_for(entry.name) in self._pids

    def _look_around(self) -> None:
        while not self._ended.wait(self._period_s):
            for pid in self._pids_now():
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


def descendants(pid: int) -> list[int]:
    """The processes that this one has started, and those that they have."""
    # Not by Path.glob(), which raises where a process ends while it looks.
    threads = glob.glob(f"/proc/{pid}/task/*/children")
    children = [int(child) for thread in threads for child in read(thread).split()]
    return [one for child in children for one in (child, *descendants(child))]


def mapped_inodes(pid: int) -> set[int]:
    lines = read(f"/proc/{pid}/maps").splitlines()
    return {int(line.split()[4]) for line in lines if f" {SHARED}/" in line}


def read(path: str) -> str:
    """A file of /proc; '' when its process has ended."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
