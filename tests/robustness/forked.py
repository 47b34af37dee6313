"""Work in a fork of this process, whose crash or hang is not this one's."""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait

from tests.robustness.attack import Fault

LIMIT_S = 20


class ChildDied(Exception):
    def __init__(self, fault: Fault, how: str) -> None:
        super().__init__(how)
        self.fault = fault


def in_child(work: Callable[[], list[str]]) -> list[str]:
    """What `work` gives in a fork of this process. Raises ChildDied."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # FFmpeg talks much
        try:
            answer: list[str] | str = work()
        except BaseException:
            answer = traceback.format_exc()
        with open(theirs, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        said = _read_all(pipe.fileno(), time.monotonic() + LIMIT_S)
    if said is None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if said is None:
        raise ChildDied(Fault.HANGING, f"no answer within {LIMIT_S} s")
    if status:
        raise ChildDied(Fault.CRASH, f"exit code {os.waitstatus_to_exitcode(status)}")
    found = pickle.loads(said)
    if isinstance(found, str):
        raise ChildDied(Fault.TRACEBACK, found)
    answers: list[str] = found
    return answers


def _read_all(pipe: int, deadline: float) -> bytes | None:
    """All that comes until the pipe is closed; None when that is not before the deadline."""
    said = b""
    while wait([pipe], max(0.0, deadline - time.monotonic())):
        if not (more := os.read(pipe, 1 << 16)):
            return said
        said += more
    return None
