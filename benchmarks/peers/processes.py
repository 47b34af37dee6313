"""The processes of a peer: their cores, their CPU time, and that none is left."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rnb.observe.cpu_time import cpu_time_s

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
FEWEST_CORES_TO_SHARE = 8
END_TIMEOUT_S = 20.0


def adopt_orphans() -> None:
    """What leaves its parent becomes a child of this process, however it is detached. Source: prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """SIGTERM comes with the parent's end. It ends this process as an exception does."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    exit_on_sigterm()


def exit_on_sigterm() -> None:
    """As an exception does, once: of a parent that is killed a signal may come for each of its threads."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(1)

    signal.signal(signal.SIGTERM, end)


def descendants() -> list[int]:
    """The processes below this one, those that have ended and wait for their parent too."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            _state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            children[int(parent)].append(int(stat.parent.name))
    found = list(children[os.getpid()])
    for pid in found:
        found += children[pid]
    return found


def end_descendants() -> None:
    """Kill them all, as often as there are new ones, and wait for them."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while (pids := descendants()) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def cpu_s() -> dict[int, float]:
    """The CPU time that this process and those below it have used, by pid."""
    return {pid: cpu_time_s(pid) for pid in (os.getpid(), *descendants())}


def cpu_s_since(before: dict[int, float]) -> float:
    """What those that are there now have used since."""
    return sum(used - before.get(pid, 0.0) for pid, used in cpu_s().items() if used == used)


def serve_on(cores: Sequence[int]) -> None:
    """What this process starts from now on leaves the client a core, where there are enough."""
    os.sched_setaffinity(0, cores[1:] if len(cores) >= FEWEST_CORES_TO_SHARE else cores)


def ask_from(cores: Sequence[int]) -> None:
    """The calling thread, and those that it starts, are the client."""
    os.sched_setaffinity(0, cores[:1] if len(cores) >= FEWEST_CORES_TO_SHARE else cores)
