"""Cores that the clients have to themselves, where the kernel does not let them go first on all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

CORES_A_CLIENT = 16
"""Where there are fewer, one to itself would be too much of the machine."""


def go_first() -> bool:
    """Have this thread run ahead of all without real-time priority (sched(7)); False: this user may not."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        return False
    return True


def cores_of_clients(num_clients: int) -> frozenset[int]:
    """One for each, which no replica may use; empty: they need none, or there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < CORES_A_CLIENT * num_clients:
        return frozenset()
    with ThreadPoolExecutor(1) as thread:  # one that ends, as its priority would stay
        return frozenset() if thread.submit(go_first).result() else frozenset(cores[-num_clients:])


def keep_to(cores: frozenset[int]) -> None:
    """Of this thread, and those that it will start; none: leave it as it is."""
    if cores:
        os.sched_setaffinity(0, cores)


def keep_off(cores: frozenset[int]) -> None:
    """The same with all others that it may use."""
    if cores:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - cores)
