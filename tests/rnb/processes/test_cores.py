"""Clients get cores of their own where they may not go first, the load has a pace, and cores are many."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rnb.observe.observer import Observer, Start
from rnb.processes import cores as module
from rnb.processes.cores import cores_of_clients, go_first
from tests.support.played import NOTHING, played, spec_for

FOUR = frozenset({2, 3, 5, 9})


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CORES_A_CLIENT", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(FOUR))


def may_go_first(monkeypatch: pytest.MonkeyPatch, *, is_so: bool) -> None:
    monkeypatch.setattr(module, "go_first", lambda: is_so)


@pytest.mark.parametrize(("num_clients", "expected"), [(1, {9}), (2, {5, 9}), (3, set())])
def test_the_last_cores_are_theirs_unless_that_is_too_much(
    four_cores: None, monkeypatch: pytest.MonkeyPatch, num_clients: int, expected: set[int]
) -> None:
    may_go_first(monkeypatch, is_so=False)
    assert cores_of_clients(num_clients) == expected


def test_they_need_none_where_they_may_go_first(four_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_first(monkeypatch, is_so=True)
    assert cores_of_clients(1) == frozenset()


def test_asking_changes_nothing_for_who_asks() -> None:
    before = os.sched_getscheduler(0)
    cores_of_clients(1)
    assert os.sched_getscheduler(0) == before


def test_who_may_not_go_first_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not go_first()


def test_cores_are_kept_to_and_kept_off() -> None:
    own = os.sched_getaffinity(0)
    last = frozenset({max(own)})

    def affinity(keep: Any) -> set[int]:
        keep(last)
        return os.sched_getaffinity(0)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(affinity, module.keep_to).result() == last
    if len(own) > 1:
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(affinity, module.keep_off).result() == own - last
    assert os.sched_getaffinity(0) == own


class Affinities(Observer):
    """Which cores each process may use."""

    name = "affinities"

    def start(self, start: Start) -> None:
        self.found = {name: os.sched_getaffinity(pid) for name, pid in start.pids.items()}


@pytest.mark.processes
@pytest.mark.parametrize("mean_interval_ms", [0, 1])
def test_replicas_leave_them_to_the_client_where_the_load_has_a_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mean_interval_ms: float
) -> None:
    all_cores = os.sched_getaffinity(0)
    if len(all_cores) < 2:
        pytest.skip("needs two cores")
    monkeypatch.setattr(module, "CORES_A_CLIENT", 2)
    may_go_first(monkeypatch, is_so=False)
    affinities = Affinities()
    spec = spec_for(tmp_path, [NOTHING], mean_interval_ms=mean_interval_ms)
    run = played(spec, observers=[affinities])
    own = {max(all_cores)} if mean_interval_ms else set()
    assert run.meta.cores_of_clients == sorted(own)
    assert affinities.found["client"] == (own or all_cores)
    assert affinities.found["step 0.0"] == all_cores - own
