"""Processes that use GPUs are forked from one that does not, and do what spawned ones do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnb.load.load import Load
from rnb.pipeline.config import read_config
from rnb.spec import Placement, RunSpec
from rnb.transport.local.fabric import LocalFabric
from tests.support.played import played
from tests.support.running import ENDED_WELL, ROOT, Bench

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(400)]

FAST = ROOT / "config" / "r2p1d-fast.json"
VIDEOS = ROOT / "data" / "videos"


def test_the_processes_of_a_run_come_from_one_that_leaves_the_gpu_alone(bench: Bench) -> None:
    flags = ["-c", str(FAST), "--data", str(VIDEOS), "-v", "300", "-mi", "0"]
    running = bench.start_with(*flags)
    running.wait_for_line("START!")
    replicas = running.children("rnb step")
    (nursery,) = running.children("rnb nursery")
    assert len(replicas) == 16
    assert {parent_of(pid) for pid in replicas} == {nursery}
    assert not devices_of(nursery)
    assert sum(bool(devices_of(pid)) for pid in replicas) >= 3  # both loaders on the GPU and the network
    assert running.finish(300).status in ENDED_WELL


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def devices_of(pid: int) -> list[str]:
    """What the process has open of NVIDIA's driver."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return [link for link in links if link.startswith("/dev/nvidia")]


def test_results_are_those_of_spawned_processes(tmp_path: Path) -> None:
    config = tmp_path / "pipeline.json"
    config.write_text(
        """[{"model": "models.r2p1d.model.R2P1DLoader", "gpus": [0]},
            {"model": "models.r2p1d.model.R2P1DRunner", "gpus": [0]}]"""
    )
    spec = RunSpec(
        config=read_config(config),
        load=Load(mean_interval_ms=0, videos=24, data=str(VIDEOS)),
        placement=Placement(device="cuda"),
        observe=(),
    )
    forked, spawned = played(spec), played(spec, fabric=LocalFabric())
    assert forked.meta.message == spawned.meta.message == ""
    assert forked.requests["label"].tolist() == spawned.requests["label"].tolist()
