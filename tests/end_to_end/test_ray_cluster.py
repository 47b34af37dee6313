"""Runs over three nodes of a Ray cluster on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, ROOT, Bench, tiny
from tests.support.tiny_steps import expected_label

pytest.importorskip("ray", reason="needs Ray: pip install 'rnb[cluster]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    resources = {"num_cpus": 1, "object_store_memory": 80_000_000}
    started = Cluster(initialize_head=True, head_node_args={**resources, "include_dashboard": False})
    for _ in range(2):
        started.add_node(**resources)
    yield started
    started.shutdown()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Agents are children of Ray's workers, so the bench does not know them by their environment."""
    yield
    deadline = time.monotonic() + 20
    while agents() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not agents()


def agents() -> list[int]:
    """Those that work in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_agent = b"rnb.cluster.agent" in (process / "cmdline").read_bytes()
            if is_agent and os.readlink(process / "cwd") == str(ROOT):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_three_nodes_give_what_one_gives(bench: Bench, cluster: Any) -> None:
    config = [tiny("LoadInPlace"), tiny("Pass", gpus=[0], spread=True), tiny("Classify", gpus=["2:0"])]
    finished = bench.run(config, "-v", "60", "-mi", "0", "--cluster", cluster.address)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    run = read(finished.folder)
    assert run.requests["label"].tolist() == [expected_label(request) for request in range(60)]
    assert [node["node"] for node in run.meta.nodes] == [0, 1, 2]
    assert {replica["node"] for replica in run.meta.replicas if replica["step"] == 1} == {0, 1, 2}


def test_a_node_that_dies_ends_the_run_with_its_name(bench: Bench, cluster: Any) -> None:
    config = [{"model": "models.nothing.model.Nothing", "gpus": [-1], "spread": True}]
    run = bench.start(config, "-v", "100000", "-mi", "5", "--cluster", cluster.address)
    run.wait_for_line("START!")
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    finished = run.finish()
    assert finished.status == 1
    assert "is gone: the connection to it was cut" in finished.err
    assert finished.folder is not None
