"""benchmark.py called in a test's own process, which leaves as little as a process that ends."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from unittest.mock import patch

from rnb.command_line.benchmark import main
from rnb.processes.replicas import IMPORTED_ON_GPUS
from rnb.transport.local.nursery import nursery
from tests.robustness.command import Ended, call
from tests.support.leftovers import SharedMemoryWatch, descendants, mapped_inodes

MOST_SECONDS = 10
PERIOD_S = 0.1
"""A run may take a quarter of a second."""


def called(argv: Sequence[str], environment: Mapping[str, str]) -> Ended:
    """What it says; neither processes nor files in /dev/shm may be left of it."""
    nursery(IMPORTED_ON_GPUS)  # in which this process's later runs find all that they need, too
    with patch.dict(os.environ, environment), _leaving_nothing():
        return call(main, argv)


@contextlib.contextmanager
def _leaving_nothing() -> Iterator[None]:
    own = os.getpid()
    others, files = set(descendants(own)), mapped_inodes(own)
    watch = SharedMemoryWatch(lambda: {own, *descendants(own)} - others, period_s=PERIOD_S)
    try:
        yield
    finally:
        deadline = time.monotonic() + MOST_SECONDS
        while (left := set(descendants(own)) - others) and time.monotonic() < deadline:
            time.sleep(0.01)
        gc.collect()
        shared = watch.end(but=files)
    assert not left, f"left behind: {left}"
    assert not shared, f"left in shared memory: {shared}"
