"""What the processes of a run have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from rnb.observe import children as module
from rnb.observe.children import Children
from tests.support.waiting import wait_until

SPIN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
LEADER = f"""
import subprocess, sys
one = [sys.executable, "-S", "-c", {SPIN!r}]
input()
subprocess.run(one)
print("waited", flush=True)
input()
"""


@pytest.fixture(autouse=True)
def always_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEARCH_INTERVAL_S", 0.0)


def test_they_count_while_they_run_and_when_they_have_ended() -> None:
    command = [sys.executable, "-c", LEADER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, process_group=0) as leader:
        assert leader.stdin
        assert leader.stdout
        children = Children([leader.pid])
        assert (children.cpu_s(), children.alive()) == (0.0, frozenset())
        leader.stdin.write("\n")
        leader.stdin.flush()
        wait_until(lambda: children.cpu_s() > 0.1)
        assert len(children.alive()) == 1
        assert leader.stdout.readline() == "waited\n"
        assert children.cpu_s() >= 0.27  # ticks of 10 ms
        assert children.alive() == frozenset()
        leader.kill()


def test_those_of_others_do_not_count() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0
    ) as process:
        assert process.pid not in Children([process.pid]).alive()
        assert process.pid not in Children([1_000_000_000]).alive()
        assert Children([1_000_000_000]).cpu_s() == 0.0
        process.kill()


def test_those_of_a_process_that_came_later_count_too() -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE, process_group=0
    ) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        children = Children([])
        assert not children.alive()
        children.adopt(leader.pid)
        wait_until(lambda: len(children.alive()) == 1)
        os.killpg(leader.pid, signal.SIGKILL)
