"""The guard ends whole process groups, when it is told to and when the driver is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from rnb.processes.guard import Guard

DRIVER = """
import os, sys
from rnb.processes.guard import Guard
guard = Guard()
guard.add(int(sys.argv[1]))
os.kill(os.getpid(), 9)
"""


def leader() -> subprocess.Popen[bytes]:
    """Leads a group of its own, with one process more in it, whose end shows as the end of the pipe."""
    command = ["sh", "-c", "sleep 600 & wait"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0)


def test_all_of_each_group_is_ended() -> None:
    guard, leaders = Guard(), [leader(), leader()]
    for one in leaders:
        guard.add(one.pid)
    guard.end()
    for one in leaders:
        assert one.communicate(timeout=10)[0] == b""
        assert one.returncode == -9
    guard.end()


def test_a_group_that_was_dropped_is_left_alone() -> None:
    guard, dropped, kept = Guard(), leader(), leader()
    guard.add(dropped.pid)
    guard.add(kept.pid)
    guard.drop(dropped.pid)
    guard.end()
    assert kept.communicate(timeout=10)[0] == b""
    assert dropped.poll() is None
    os.killpg(dropped.pid, signal.SIGKILL)
    dropped.communicate(timeout=10)


def test_a_guard_of_nothing_ends_nothing() -> None:
    Guard().end()


def test_a_driver_that_is_killed_takes_them_along() -> None:
    with leader() as one:
        subprocess.run([sys.executable, "-c", DRIVER, str(one.pid)], check=False, timeout=60)
        assert one.communicate(timeout=10)[0] == b""
