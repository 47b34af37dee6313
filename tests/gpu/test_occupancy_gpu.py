"""Runs of the full network with --occupancy: two processes on one GPU under MPS, one with CUDA graphs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from rnb.analysis.calls import calls_of, visits_of
from rnb.analysis.occupancy import occupancy_of
from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, ROOT, Bench, Finished
from tests.support.trace_json import Trace
from utils.cupti.gpu_sampler import GpuSampler

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(400)]

LOAD = {"model": "models.r2p1d.model.R2P1DLoader", "gpus": [0], "workers": 2}
RUN: dict[str, Any] = {
    "model": "models.r2p1d.model.R2P1DRunner",
    "gpus": [0],
    "precision": "fp16",
    "fuse": True,
    "cuda_graphs": True,
    "row_buckets": [15],
}
FEWEST_KERNELS = 30
"""Of one call of the network: of its graph, the launch is one and the copies around it are a few."""


@pytest.fixture(scope="module", autouse=True)
def bridge() -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([ROOT / "build_cupti.sh"], env=environment, check=True, timeout=120)


def play(bench: Bench, *flags: str, num_videos: int = 250) -> tuple[Finished, Run]:
    load = ("--data", str(ROOT / "data" / "videos"), "-v", str(num_videos), "-mi", "0")
    finished = bench.start([LOAD, RUN], "--device", "cuda", *load, "--occupancy", *flags).finish(300)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    return finished, read(finished.folder)


def test_a_run_tells_how_well_it_used_its_gpu(bench: Bench) -> None:
    finished, run = play(bench, "--trace")
    assert (run.meta.mps, run.meta.notes) == ("on", []), finished.err
    occupancy = occupancy_of(run)
    assert occupancy
    (gpu,) = occupancy.gpus
    assert all(value is not None and 0 <= value <= 100 for value in gpu.counters.values()), gpu.counters
    assert gpu.counters["sm_busy_pct"], "nothing ran?"
    loader, network = occupancy.steps
    assert (loader.step, network.step) == (0, 1)
    assert loader.kernels_per_s > 0
    assert 0 < network.busy < 1
    assert any(part in kernel.name for kernel in network.top for part in ("conv", "gemm", "xmma", "cutlass"))
    assert "GPU 0 " in finished.out
    assert "theoretical occupancy" in finished.out
    assert finished.folder
    trace = Trace(finished.folder / "trace.json.gz")
    assert max(value for _, value in trace.counter("sm busy", pid=5)) > 5
    assert any(track[1] == 1_000_000 for track in trace.slices)


def test_the_kernels_inside_cuda_graphs_are_counted(bench: Bench) -> None:
    _, run = play(bench)
    windows = run.tables["kernel_windows"]
    assert windows
    visits = visits_of(run, 1)
    calls = calls_of(visits)
    for row in np.flatnonzero(windows["step"] == 1):
        inside = (calls.start_ns >= windows["start_ns"][row]) & (calls.finish_ns <= windows["end_ns"][row])
        num_calls = np.count_nonzero(inside)
        assert num_calls > 3
        assert windows["num_kernels"][row] >= FEWEST_KERNELS * num_calls


def test_beside_another_sampler_the_run_goes_on_without_counters(bench: Bench) -> None:
    with GpuSampler(0):
        finished, run = play(bench)
    (note,) = run.meta.notes
    assert re.search(r"another (sampler or )?profiler", note)
    assert note.endswith("the run goes on without the counters of GPU 0")
    assert f"--occupancy: {note}\n" in finished.err
    assert "occupancy" not in run.tables
    assert "kernels" in run.tables
    assert (run.requests["status"] == "finished").all()
