"""Runs over three nodes of a Ray cluster on this machine, and what each kind of death does to them."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rnb.record.over_nodes import by_node
from rnb.record.run_folder import read
from tests.support.leftovers import SHARED, mapped_inodes, named_for, pids_with
from tests.support.leftovers import read as text_of
from tests.support.running import ENDED_WELL, MARK, Bench, Running, tiny
from tests.support.tiny_steps import expected_label

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]

MOST_SECONDS = {"process": 20.0, "node": 40.0}
"""From the death to the end of the command, with a folder: 10 and 30 are promised on a quiet machine."""
EVERYWHERE = [{"model": "models.nothing.model.Nothing", "gpus": [-1], "spread": True}]
RESOURCES = {"num_cpus": 1, "object_store_memory": 80_000_000}


class Nodes:
    """A Ray cluster whose processes can be told from those of others."""

    def __init__(self) -> None:
        self._ray = pytest.importorskip("ray", reason="needs Ray: pip install 'rnb[cluster]'")
        from ray.cluster_utils import Cluster

        self._mark = f"{MARK}={uuid.uuid4().hex}"
        with pytest.MonkeyPatch.context() as patch:
            self._set(patch)
            self._cluster = Cluster(
                initialize_head=True, head_node_args={**RESOURCES, "include_dashboard": False}
            )
        self.address = self._cluster.address
        self._ray.init(address=self.address, log_to_driver=False, logging_level="error")

    def _set(self, patch: pytest.MonkeyPatch) -> None:
        """What its processes have in their environment."""
        patch.setenv(*self._mark.split("="))
        if os.getuid():  # who may not take back the priority that Ray gives
            patch.setenv("RAY_worker_niceness", str(os.nice(0)))

    def fill_up(self) -> None:
        """Three nodes, whatever has become of them."""
        with pytest.MonkeyPatch.context() as patch:
            self._set(patch)
            while len(self._cluster.list_all_nodes()) < 3:
                self._cluster.add_node(**RESOURCES)
        self._cluster.wait_for_nodes()

    def kill_one(self) -> None:
        """Not that of the driver."""
        self._cluster.remove_node(self._cluster.list_all_nodes()[-1], allow_graceful=False)

    def of_runs(self) -> list[int]:
        """The processes that agents and their replicas are: Ray's own are not."""
        return [pid for pid in pids_with(self._mark) if is_of_run(pid)]

    def agents(self) -> list[int]:
        return [pid for pid in self.of_runs() if "rnb.cluster.agent" in text_of(f"/proc/{pid}/cmdline")]

    def reserved(self) -> float:
        """How many CPUs actors and placement groups hold."""
        return float(self._ray.cluster_resources()["CPU"] - self._ray.available_resources().get("CPU", 0.0))

    def end(self) -> None:
        self._ray.shutdown()
        self._cluster.shutdown()


def is_of_run(pid: int) -> bool:
    return text_of(f"/proc/{pid}/comm").startswith("rnb ") or "rnb.cluster" in text_of(f"/proc/{pid}/cmdline")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    started = Nodes()
    yield started
    started.end()


@pytest.fixture
def nodes(cluster: Nodes) -> Iterator[Nodes]:
    """Three of them; in the end nothing of a run may be left on any."""
    cluster.fill_up()
    yield cluster
    wait_until(lambda: not cluster.of_runs(), "processes are left on the nodes")
    wait_until(lambda: cluster.reserved() == 0, "Ray still holds actors or placement groups")


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + MOST_SECONDS["node"]
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


class SharedFiles:
    """What the processes of a run have in /dev/shm at some time."""

    def __init__(self, pids: list[int]) -> None:
        self._pids, self._inodes = set(pids), {one for pid in pids for one in mapped_inodes(pid)}

    def left(self) -> list[str]:
        with os.scandir(SHARED) as entries:
            return [
                entry.name
                for entry in entries
                if entry.inode() in self._inodes or named_for(entry.name) in self._pids
            ]


def test_three_nodes_give_what_one_gives(bench: Bench, nodes: Nodes) -> None:
    config = [tiny("LoadInPlace"), tiny("Pass", gpus=[0], spread=True), tiny("Classify", gpus=["2:0"])]
    finished = bench.run(config, "-v", "60", "-mi", "0", "--cluster", nodes.address)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    run = read(finished.folder)
    assert run.requests["label"].tolist() == [expected_label(request) for request in range(60)]
    assert [node["node"] for node in run.meta.nodes] == [0, 1, 2]
    assert list(by_node(run.tables["telemetry"])) == [0, 1, 2]
    assert {replica["node"] for replica in run.meta.replicas if replica["step"] == 1} == {0, 1, 2}


def kill_replica(run: Running, nodes: Nodes) -> None:
    run.signal(signal.SIGKILL, next(pid for pid in nodes.of_runs() if title(pid).startswith("rnb step")))


def kill_agent(run: Running, nodes: Nodes) -> None:
    run.signal(signal.SIGKILL, nodes.agents()[0])


def kill_node(run: Running, nodes: Nodes) -> None:
    run.since, run.was_signalled = time.monotonic(), True
    nodes.kill_one()


def title(pid: int) -> str:
    return text_of(f"/proc/{pid}/comm").strip()


@pytest.mark.parametrize(
    ("kill", "message", "what"),
    [
        (kill_replica, "failed: step 0.", "process"),
        (kill_agent, "is gone: the connection to it was cut", "process"),
        (kill_node, "is gone: the connection to it was cut", "node"),
    ],
)
def test_a_death_ends_the_run_with_a_name(
    bench: Bench, nodes: Nodes, kill: Callable[[Running, Nodes], None], message: str, what: str
) -> None:
    run = bench.start(EVERYWHERE, "-v", "100000", "-mi", "5", "--cluster", nodes.address)
    run.wait_for_line("START!")
    time.sleep(3)  # two reports of what is done
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in nodes.of_runs()} == {os.nice(0)}
    shared = SharedFiles(nodes.of_runs() + run.processes())
    kill(run, nodes)
    finished = run.finish()
    assert finished.status == 1
    assert message in finished.err
    assert "node 1" in finished.err or "node 2" in finished.err
    assert finished.seconds_to_end < MOST_SECONDS[what]
    assert finished.folder is not None
    assert_all_nodes_have_finished_some(finished.folder)
    wait_until(lambda: not shared.left(), "files are left in /dev/shm")


def test_a_replica_that_dies_is_replaced_on_its_node(bench: Bench, nodes: Nodes) -> None:
    flags = ("-v", "1500", "-mi", "5", "--restart", "1", "--cluster", nodes.address)
    run = bench.start(EVERYWHERE, *flags)
    run.wait_for_line("START!")
    time.sleep(3)  # the node has to know of the start, too
    kill_replica(run, nodes)
    finished = run.finish()
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    kept = read(finished.folder)
    assert kept.requests["status"].tolist() == ["finished"] * 1500
    events = kept.tables["events"]
    (died,) = np.flatnonzero(events["event"] == "died")
    assert events["reason"][died].endswith("was killed by SIGKILL")
    assert events["reason"][died].startswith("node ")
    (heir,) = np.flatnonzero(events["event"] == "replaced by")
    assert events["replica"][heir] == events["replica"][died]
    assert events["at_ns"][heir] - events["at_ns"][died] < MOST_SECONDS["process"] * 1e9


@pytest.mark.parametrize(
    ("kill", "what"), [(kill_agent, "replaced by"), (kill_node, "left out")], ids=["an agent", "a node"]
)
def test_a_run_goes_on_when_a_node_dies(
    bench: Bench, nodes: Nodes, kill: Callable[[Running, Nodes], None], what: str
) -> None:
    """With another agent in the place of one; where Ray knows that a node is gone, without it."""
    flags = ("-v", "2000", "-mi", "5", "--restart", "1", "--cluster", nodes.address)
    run = bench.start(EVERYWHERE, *flags)
    run.wait_for_line("START!")
    time.sleep(3)
    shared = SharedFiles(nodes.of_runs() + run.processes())
    kill(run, nodes)
    finished = run.finish()
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    kept = read(finished.folder)
    assert kept.requests["status"].tolist() == ["finished"] * 2000
    events = kept.tables["events"]
    is_of_node = np.array([name.startswith("node ") for name in events["replica"]])
    (died,) = np.flatnonzero(is_of_node & (events["event"] == "died"))
    (then,) = np.flatnonzero(is_of_node & (events["event"] == what))
    assert events["replica"][then] == events["replica"][died]
    assert events["at_ns"][then] - events["at_ns"][died] < MOST_SECONDS["node"] * 1e9
    wait_until(lambda: not shared.left(), "files are left in /dev/shm")


def assert_all_nodes_have_finished_some(folder: Path) -> None:
    """That which died, too: what it had told was kept."""
    run = read(folder)
    is_done = run.requests["status"] == "finished"
    counts = np.bincount(run.requests["replica0"][is_done], minlength=3)
    assert (counts > 50).all(), counts


def test_the_drivers_death_leaves_nothing(bench: Bench, nodes: Nodes) -> None:
    run = bench.start(EVERYWHERE, "-v", "100000", "-mi", "5", "--cluster", nodes.address)
    run.wait_for_line("START!")
    assert len(nodes.agents()) == 2
    shared = SharedFiles(nodes.of_runs() + run.processes())
    run.signal(signal.SIGKILL)
    run.process.wait()
    wait_until(lambda: not nodes.of_runs() + run.processes(), "processes are left")
    wait_until(lambda: not shared.left(), "files are left in /dev/shm")
    run.finish()
