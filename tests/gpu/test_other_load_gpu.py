"""Who else is on a GPU of a run: a process that computes there, and one that only holds memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, Bench

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]

PIPELINE = [
    {"model": "models.nothing.model.Produce", "gpus": [0], "shape": [15, 3, 8, 112, 112]},
    {"model": "models.nothing.model.Consume", "gpus": [0]},
]
LOAD = ("-mi", "20", "-v", "250", "--device", "cuda", "--json")
SPIN = """
import torch
values = torch.randn(4096, 4096, device="cuda")
print("ready", flush=True)
while True:
    values @ values
    torch.cuda.synchronize()
"""


@pytest.fixture
def hog() -> Iterator[int]:
    """The pid of a process that computes on GPU 0 all the time."""
    command = [sys.executable, "-c", SPIN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


def play(bench: Bench, *flags: str) -> tuple[Run, list[str]]:
    """The run, and what was seen of other load."""
    finished = bench.start(PIPELINE, *LOAD, *flags).finish(200)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder is not None
    reasons = json.loads(finished.out)["verdict"]["reasons"]
    return read(finished.folder), [one["seen"] for one in reasons if one["reason"] == "other load"]


@pytest.mark.parametrize("mps", ["off", "on"])
def test_a_run_alone_is_nobody_elses_load(bench: Bench, mps: str) -> None:
    run, seen = play(bench, "--mps", mps)
    assert np.nanmax(run.tables["telemetry"]["gpu0.others_percent"]) == 0
    assert not [one for one in seen if "gpu0" in one]


@pytest.mark.parametrize("mps", ["off", "on"])
def test_a_process_that_computes_on_the_gpu_is_seen_and_named(bench: Bench, hog: int, mps: str) -> None:
    _, (seen,) = play(bench, "--mps", mps)
    assert "of gpu0 (" in seen
    assert f"(pid {hog})" in seen


def test_memory_that_a_fault_takes_is_taken_at_its_time(bench: Bench) -> None:
    run, _ = play(bench, "--fault", "gpu-memory:4GB@50%")
    (fault,) = run.meta.faults
    assert fault.problem == ""
    assert fault.start_epoch_ns is not None
    telemetry = run.tables["telemetry"]
    is_after = telemetry["time_ns"] > fault.start_epoch_ns + 500_000_000
    used = telemetry["gpu0.memory_bytes"]
    assert used[is_after].min() - used[~is_after].min() > 3.9e9
