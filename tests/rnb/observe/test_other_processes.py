"""Who else computes: real processes that spin."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from rnb.observe import other_processes
from rnb.observe.cpu_time import cpu_time_s
from rnb.observe.other_processes import OtherProcesses
from tests.support.hogs import hogs

CPUS = os.sched_getaffinity(0)


@pytest.fixture(autouse=True)
def name_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine five others may use more than what a test starts."""
    monkeypatch.setattr(other_processes, "MAX_NAMED", 1000)


@pytest.fixture
def hog() -> Iterator[int]:
    with hogs(1) as (pid,):
        yield pid


def wait_for_its_share(pid: int) -> None:
    """Until it had a tenth of a second of CPU time, however busy the machine is."""
    while cpu_time_s(pid) < 0.1:
        time.sleep(0.02)


def test_one_that_computes_is_named_with_what_it_used(hog: int) -> None:
    others = OtherProcesses([os.getpid()], CPUS)
    before_s = cpu_time_s(hog)
    time.sleep(0.5)
    found = {one["pid"]: one for one in others.busiest()}
    assert found[hog]["name"].startswith("python")
    assert 0 < found[hog]["cpu_s"] <= cpu_time_s(hog) - before_s + 0.1
    assert os.getpid() not in found


def test_the_runs_own_are_not_others(hog: int) -> None:
    others = OtherProcesses([hog], CPUS)
    time.sleep(0.3)
    assert hog not in {one["pid"] for one in others.busiest()}


def test_one_on_other_cpus_is_none(hog: int) -> None:
    others = OtherProcesses([], {1_000_000})
    wait_for_its_share(hog)
    assert others.busiest() == []


def test_one_that_has_ended_is_known_from_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_processes, "INTERVAL_S", 0.0)
    others = OtherProcesses([], CPUS)
    with hogs(1) as (pid,):
        wait_for_its_share(pid)
        others.look()
    assert pid in {one["pid"] for one in others.busiest()}


def test_one_that_sleeps_is_not_named() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        time.sleep(0.3)
        others = OtherProcesses([], CPUS)
        time.sleep(0.2)
        assert process.pid not in {one["pid"] for one in others.busiest()}
        process.kill()


def test_one_that_the_run_has_started_meanwhile_is_no_other(hog: int) -> None:
    others = OtherProcesses([os.getpid()], CPUS)
    others.adopt(hog)
    wait_for_its_share(hog)
    assert hog not in {one["pid"] for one in others.busiest()}
