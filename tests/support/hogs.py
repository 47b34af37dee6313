"""Processes that do nothing but compute."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

SPIN = """
import time
end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""
"""Ends by itself, should nobody end it."""


@contextlib.contextmanager
def hogs(number: int) -> Iterator[list[int]]:
    """The pids of so many processes, each of which takes all of a CPU that it gets."""
    processes = [subprocess.Popen([sys.executable, "-S", "-c", SPIN]) for _ in range(number)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
