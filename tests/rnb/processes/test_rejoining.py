"""Agents and bridges that die while a run plays over three nodes: others come in their place, or it goes on
without them."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.cluster.launching import LaunchedHere, LocalLauncher
from rnb.observe.observer import End, Observer, Seen, Watched
from rnb.pipeline.parts import BridgePlan
from rnb.processes.bridges import Bridges
from rnb.processes.other_nodes import GATHER_TIMEOUT_S
from rnb.processes.supervisor import Child
from rnb.record.run import Run
from rnb.spec import RunSpec
from rnb.transport.fabric import FINISHED
from tests.robustness.deaths import rows_of
from tests.support.leftovers import pids_with, read
from tests.support.played import NOTHING, played, spec_for
from tests.support.running import tiny
from tests.support.tiny_steps import expected_label
from tests.support.waiting import wait_until

NUM_REQUESTS = 600
MARK = "RNB_TEST_REJOINING"


class Nodes(LocalLauncher):
    """Three, with what is launched on each, in turn; from the launch `most` on, none starts any more."""

    def __init__(self, most: int = 99) -> None:
        super().__init__(3)
        self.launched: dict[int, list[LaunchedHere]] = {1: [], 2: []}
        self._most = most

    def launch(self, node: int, told: str) -> LaunchedHere:
        if sum(map(len, self.launched.values())) >= self._most:
            raise RuntimeError("there is no such machine")
        launched = super().launch(node, told)
        self.launched[node].append(launched)
        return launched

    def pid(self, node: int) -> int:
        return self.launched[node][-1]._process.pid

    def await_end(self, *nodes: int) -> None:
        """Until the agents that are on them have ended, and their connections with them."""
        agents = [self.launched[node][-1]._process for node in nodes]
        wait_until(lambda: all(agent.poll() is not None for agent in agents))


class SilentLater(Nodes):
    """What is launched in the place of another one runs, and says nothing."""

    def launch(self, node: int, told: str) -> LaunchedHere:
        if not self.launched[node]:
            return super().launch(node, told)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rnb.cluster.launching.COMMAND", ("-c", "import sys; sys.stdin.read()"))
            return super().launch(node, told)


class Killer(Observer):
    """Kills once so many requests are done, as far as the driver knows."""

    name = "killer"

    def __init__(self, *shots: tuple[int, Callable[[], int]], by: int = signal.SIGKILL) -> None:
        """After how many requests, and whom: the pid, which is asked for then."""
        self._shots, self._by, self._stopping = list(shots), by, threading.Event()
        self._thread = threading.Thread(target=self._shoot)

    def prepare(self, watched: Watched) -> None:
        self._table = watched.table

    def begin(self, start_ns: int) -> None:
        self._thread.start()

    def _shoot(self) -> None:
        while self._shots and not self._stopping.wait(0.01):
            if self._table.count(FINISHED) >= self._shots[0][0]:
                os.kill(self._shots.pop(0)[1](), self._by)

    def stop(self, end: End) -> Seen:
        self.kill()
        return Seen()

    def kill(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._table = None  # type: ignore[assignment]


class Busy(Observer):
    """Keeps the driver from looking, now and then."""

    name = "busy"

    def __init__(self, is_now: Callable[[], bool]) -> None:
        self._is_now = is_now

    def look(self) -> None:
        if self._is_now():
            time.sleep(0.2)


class BusyOnce(Observer):
    """Keeps the driver from looking once so many requests are done, as far as it knows."""

    name = "busy once"

    def __init__(self, num_requests: int, until: Callable[[], None]) -> None:
        self._num_requests, self._until, self._is_over = num_requests, until, False

    def prepare(self, watched: Watched) -> None:
        self._num_done = partial(watched.table.count, FINISHED)

    def look(self) -> None:
        if not self._is_over and self._num_done() >= self._num_requests:
            self._is_over = True
            self._until()

    def kill(self) -> None:
        del self._num_done


@pytest.fixture(autouse=True)
def _marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, str(tmp_path))


def spec_of(folder: Path, *steps: dict[str, Any], restart: int = 1, **load: Any) -> RunSpec:
    spec = spec_for(folder, steps, **{"mean_interval_ms": 4, "videos": NUM_REQUESTS, **load})
    limits = dataclasses.replace(spec.limits, restart=restart)
    return dataclasses.replace(spec, limits=limits, num_nodes=3)


def nothing(*places: str) -> dict[str, Any]:
    return {**NOTHING, "gpus": [f"{place}:-1" for place in places]}


def bridge(folder: Path, number: int) -> int:
    """One of those of this test, in the order of their pids."""
    marked = sorted(pids_with(f"{MARK}={folder}"))
    return [pid for pid in marked if read(f"/proc/{pid}/comm").startswith("rnb bridge")][number]


def processes(run: Run, *names: str) -> list[tuple[str, str]]:
    return [(row["event"], row["replica"]) for row in rows_of(run.tables["events"]) if row["event"] in names]


def all_finished(run: Run) -> None:
    assert (run.meta.is_success, run.meta.message) == (True, "")
    assert run.requests["status"].tolist() == ["finished"] * NUM_REQUESTS


def assert_each_try_is_told(run: Run) -> None:
    rows = [row for row in rows_of(run.tables["events"]) if row["event"] == "tried again"]
    told = np.bincount([row["request_id"] for row in rows], minlength=NUM_REQUESTS)
    assert run.requests["attempts"].tolist() == (1 + told).tolist()
    for row in rows:
        assert row["reason"] in run.requests["reason"][row["request_id"]]


ONE_STEP_EACH = [nothing("0"), nothing("1"), nothing("2")]
EVERYWHERE = [nothing("0", "1", "2"), nothing("2", "1", "0"), nothing("1", "2", "0")]


def test_rows_of_slots_that_had_been_granted_are_right(tmp_path: Path) -> None:
    """Few slots for much that crosses, both ways: what came back was used again."""
    nodes = Nodes()
    steps = [
        tiny("Load", gpus=["0:0", "1:0"], num_shared_tensors=2),
        tiny("Pass", gpus=["1:0"], num_shared_tensors=2),
        tiny("Classify", gpus=["0:0"]),
    ]
    killer = Killer((200, lambda: nodes.pid(1)))
    run = played(spec_of(tmp_path, *steps, mean_interval_ms=2), cluster=nodes, observers=[killer])
    all_finished(run)
    assert run.requests["label"].tolist() == [expected_label(one) for one in range(NUM_REQUESTS)]
    assert_each_try_is_told(run)


def test_agents_that_die_at_once_are_replaced(tmp_path: Path) -> None:
    nodes = Nodes()
    killer = Killer((100, lambda: nodes.pid(1)), (100, lambda: nodes.pid(2)))
    run = played(spec_of(tmp_path, *EVERYWHERE), cluster=nodes, observers=[killer])
    all_finished(run)
    assert run.results == dict.fromkeys(range(NUM_REQUESTS), 0)
    assert_each_try_is_told(run)
    told = processes(run, "died", "replaced by", "started")
    for node in ("node 1", "node 2"):
        of_node = [event for event, name in told if name == node]
        assert of_node == ["started", "died", "replaced by", "started"]
    assert [len(launched) for launched in nodes.launched.values()] == [2, 2]
    assert {one["node"] for one in run.meta.replicas} == {0, 1, 2}
    assert run.meta.jobs is not None
    assert run.meta.jobs.num_deaths == 2


def test_bridges_that_die_are_replaced(tmp_path: Path) -> None:
    """One of the driver's, then one of another node, which leads to the third."""
    killer = Killer((100, lambda: bridge(tmp_path, 0)), (250, lambda: bridge(tmp_path, -1)))
    run = played(spec_of(tmp_path, *EVERYWHERE, restart=2), cluster=Nodes(), observers=[killer])
    all_finished(run)
    assert_each_try_is_told(run)
    died = [name for _, name in processes(run, "died")]
    assert len(died) == 2
    assert all(name.startswith("bridge to node ") for name in died)
    replaced = [name for _, name in processes(run, "replaced by")]
    assert set(died) <= set(replaced)
    assert len(replaced) == 4, "those at the other ends as well"


@pytest.mark.parametrize(("num_dying", "restart"), [(2, 3), (99, 3)])
def test_bridges_that_die_before_they_join_count(
    num_dying: int, restart: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the driver that come in the place of others, so many of them."""
    start, started = Bridges.start, list[str]()

    def dying(bridges: Bridges, plan: BridgePlan) -> Child:
        child = start(bridges, plan)
        started.append(plan.name)
        if started[-1] in started[:-1] and len(started) - len(set(started)) <= num_dying:
            child.process.kill()
        return child

    monkeypatch.setattr(Bridges, "start", dying)
    killer = Killer((100, lambda: bridge(tmp_path, 0)))
    run = played(spec_of(tmp_path, *EVERYWHERE, restart=restart), cluster=Nodes(), observers=[killer])
    _, *died = [name for _, name in processes(run, "died")]
    assert len(set(died)) == 1
    if num_dying < restart:
        all_finished(run)
        assert_each_try_is_told(run)
        assert len(died) == num_dying
    else:
        assert re.fullmatch(rf"{died[0]} \(pid \d+\) was killed by SIGKILL", run.meta.message)
        assert len(died) == restart


def test_sequences_go_on_with_a_node_that_has_lost_their_states(tmp_path: Path) -> None:
    """What was there fails, and the rest of those sequences; all others are whole."""
    nodes, positions = Nodes(), "tests.support.sequence_steps.Positions"
    steps = [nothing("0"), {"model": positions, "gpus": ["1:-1", "2:-1"]}]
    spec = spec_of(tmp_path, *steps, sequences=6, sequence_length=10, mean_interval_ms=6)
    spec = dataclasses.replace(spec, limits=dataclasses.replace(spec.limits, max_failures=NUM_REQUESTS))
    run = played(spec, cluster=nodes, observers=[Killer((100, lambda: nodes.pid(1)))])
    assert (run.meta.is_success, run.meta.message) == (True, "")
    status = run.requests["status"]
    assert set(status.tolist()) == {"finished", "failed"}
    assert all(run.requests["reason"][one] for one in np.flatnonzero(status == "failed"))
    for request_id in np.flatnonzero(status == "finished").tolist():
        assert len(run.results[request_id]["seen"]) == request_id // 6 % 10 + 1
    assert (status[-60:] == "finished").all()
    assert set(run.requests["replica1"][-60:].tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("StartsAgain", "failed: step 1.0 failed: "),
        ("RefusesAgain", "failed: pipeline[1].queue_groups[0]: not this time"),
    ],
)
def test_an_agent_whose_replica_does_not_start_is_replaced_again(
    name: str, reason: str, tmp_path: Path
) -> None:
    """Not in the first place and in the second, but in the third. It tells why, or ends as well, which a busy
    driver hears later."""
    nodes, first = Nodes(), tmp_path / "starts"
    step = {"model": f"tests.support.mortal_steps.{name}", "gpus": ["1:-1"], "folder": str(first)}
    first.mkdir()
    spec = spec_of(tmp_path, nothing("0"), step, restart=2, mean_interval_ms=8)
    observers = [Killer((100, lambda: nodes.pid(1))), Busy(lambda: len(nodes.launched[1]) == 2)]
    run = played(spec, cluster=nodes, observers=observers)
    all_finished(run)
    died = [row for row in rows_of(run.tables["events"]) if row["event"] == "died"]
    assert [row["replica"] for row in died] == ["node 1", "node 1"]
    assert died[1]["reason"].startswith(reason)
    assert len(nodes.launched[1]) == 3


@pytest.mark.parametrize("restart", [1, 0])
def test_an_agent_that_stands_still_is_as_good_as_gone(
    restart: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is stopped (SIGSTOP) has its connections still."""
    monkeypatch.setattr("rnb.transport.tcp.connection.SILENCE_S", 6)
    monkeypatch.setattr("rnb.cluster.launching.END_TIMEOUT_S", 0.5)  # it does not hear that it shall end
    nodes = Nodes()
    killer = Killer((50, lambda: nodes.pid(2)), by=signal.SIGSTOP)
    spec = spec_of(tmp_path, *ONE_STEP_EACH, restart=restart)
    run = played(spec, cluster=nodes, observers=[killer])
    how = "on this machine as node 2 is gone: not a word for 6 s"
    if restart:
        all_finished(run)
        died = [row["reason"] for row in rows_of(run.tables["events"]) if row["event"] == "died"]
        assert died == [how]
    else:
        assert (run.meta.termination, run.meta.message) == ("PROCESS_FAILED", f"node 2 {how}")


def test_more_deaths_than_are_allowed_end_the_run(tmp_path: Path) -> None:
    nodes = Nodes()
    killer = Killer((10, lambda: nodes.pid(2)), (60, lambda: nodes.pid(2)))
    spec = spec_of(tmp_path, *ONE_STEP_EACH, mean_interval_ms=50)
    run = played(spec, cluster=nodes, observers=[killer])
    assert run.meta.termination == "PROCESS_FAILED"
    assert run.meta.message == "node 2 on this machine as node 2 is gone: the connection to it was cut"
    assert processes(run, "died").count(("died", "node 2")) == 2


def test_nobody_waits_for_a_node_that_died_when_the_run_ended(tmp_path: Path) -> None:
    """The death of node 1 is one too many; that of node 2, heard at the same time, would have been no end."""
    nodes = Nodes()

    def behind_node_2() -> int:
        nodes.await_end(2)
        time.sleep(0.2)  # in which the driver's thread for that connection should hear of it
        return nodes.pid(1)

    killer = Killer((20, partial(nodes.pid, 1)), (200, partial(nodes.pid, 2)), (200, behind_node_2))
    busy = BusyOnce(200, until=lambda: nodes.await_end(1, 2))
    spec = spec_of(tmp_path, *ONE_STEP_EACH, mean_interval_ms=20)
    run = played(spec, cluster=nodes, observers=[killer, busy])
    assert run.meta.message == "node 1 on this machine as node 1 is gone: the connection to it was cut"
    died = processes(run, "died")
    # On a busy machine it may hear of node 1 first, and has nothing to say of node 2 any more.
    assert died in [[("died", "node 1")] * 2, [("died", "node 1"), ("died", "node 2"), ("died", "node 1")]]
    assert run.meta.end_epoch_ns - run.tables["events"]["at_ns"][-1] < GATHER_TIMEOUT_S * 1e9


def test_it_goes_on_without_a_node_that_others_can_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnb.processes.launch.REJOIN_TIMEOUT_S", 2)
    nodes = SilentLater()
    steps = [nothing("0", "2"), nothing("1", "2"), nothing("0", "1", "2")]
    killer = Killer((100, lambda: nodes.pid(2)))
    run = played(spec_of(tmp_path, *steps, mean_interval_ms=8), cluster=nodes, observers=[killer])
    all_finished(run)
    assert_each_try_is_told(run)
    left_out = [row for row in rows_of(run.tables["events"]) if row["event"] == "left out"]
    assert [(row["replica"], row["reason"]) for row in left_out] == [
        ("node 2", "no word from its agent in 2 s")
    ]
    assert (run.requests["replica1"][-100:] == 0).all(), "the one on node 1 does it all"
    assert {one["node"] for one in run.meta.replicas} == {0, 1, 2}


def test_it_ends_where_nobody_else_does_the_work(tmp_path: Path) -> None:
    nodes = Nodes(most=2)
    killer = Killer((50, lambda: nodes.pid(2)))
    spec = spec_of(tmp_path, *ONE_STEP_EACH, mean_interval_ms=20)
    run = played(spec, cluster=nodes, observers=[killer])
    assert run.meta.termination == "PROCESS_FAILED"
    assert run.meta.message == (
        "node 2 on this machine as node 2 is gone, and nobody else takes from frame queue 0 between"
        " steps 1 and 2: there is no such machine"
    )
