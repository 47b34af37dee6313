"""Telemetry of real GPUs: NVML tells what it should of a run, and of the GPUs that CUDA means."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from nvvl import engines
from rnb.observe import nvml
from rnb.pipeline.visible_gpus import num_visible_gpus
from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, ROOT, Bench

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(400)]

PIPELINE = [
    {"model": "models.r2p1d.model.R2P1DLoader", "gpus": [0]},
    {"model": "models.r2p1d.model.R2P1DRunner", "gpus": [0]},
]
RANGES = {
    "sm_percent": (0, 100),
    "memory_bytes": (300e6, 1e12),
    "nvdec_percent": (0, 100),
    "sm_clock_mhz": (100, 5000),
    "memory_clock_mhz": (100, 20_000),
    "power_w": (5, 2000),
    "temperature_c": (10, 110),
    "throttle_reasons": (0, 2**53),
}
"""What every reading of a data-centre GPU lies in."""


@pytest.mark.parametrize("mps", ["off", "auto"])
def test_a_run_on_a_gpu(bench: Bench, mps: str) -> None:
    videos = ROOT / "data" / "videos"
    flags = ("-v", "300", "-mi", "0", "--device", "cuda", "--data", str(videos), "--mps", mps)
    finished = bench.start(PIPELINE, *flags).finish(timeout_s=300)
    assert finished.status in ENDED_WELL, finished.err
    assert finished.folder
    run = read(finished.folder)
    _check_readings(run)
    _check_processes(run)
    _check_provenance(run)


def _check_readings(run: Run) -> None:
    assert "telemetry" in run.tables
    for reading, (least, most) in RANGES.items():
        column = run.tables["telemetry"][f"gpu0.{reading}"]
        assert np.isfinite(column).all(), reading
        assert ((column >= least) & (column <= most)).all(), (reading, column)
    assert run.tables["telemetry"]["gpu0.sm_percent"].max() > 10
    if engines.is_available():
        assert run.tables["telemetry"]["gpu0.nvdec_percent"].max() > 10


def _check_processes(run: Run) -> None:
    """The runners are on the GPU; the driver, which reads NVML, and the client have no CUDA context."""
    assert "telemetry" in run.tables
    for name in ("step 0.0", "step 1.0"):
        assert np.nanmax(run.tables["telemetry"][f"process.{name}.gpu_memory_bytes"]) > 100e6
        assert np.nanmax(run.tables["telemetry"][f"process.{name}.cpu_percent"]) > 1
    for name in ("driver", "client"):
        assert np.isnan(run.tables["telemetry"][f"process.{name}.gpu_memory_bytes"]).all()


def _check_provenance(run: Run) -> None:
    facts = run.meta.provenance
    (gpu,) = (gpu for gpu in facts["gpus"] if gpu["cuda_index"] == 0)
    assert facts["driver"]
    assert gpu["uuid"] == f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    assert gpu["power_cap_w"] > 50
    for when in ("at_start", "at_end"):
        assert set(gpu[when]) == {
            "sm_clock_mhz",
            "memory_clock_mhz",
            "power_w",
            "temperature_c",
            "throttle_reasons",
        }
    loader = run.meta.replicas[0]["facts"]["decoder"]
    assert loader == (f"{engines.name()}, pyav" if engines.is_available() else "pyav")


def test_cuda_counts_the_gpus_as_nvml_is_told() -> None:
    uuids = [gpu.uuid for gpu in nvml.machine().gpus]
    assert None not in uuids
    last = len(uuids) - 1
    for visible in (
        None,
        str(last),
        str(uuids[last]),
        str(uuids[last])[:12],
        ",".join(map(str, uuids[::-1])),
    ):
        environment = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
        if visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible
        told = nvml.machine().by_cuda_index(environment)
        by_cuda = _uuids_by_cuda(environment)
        assert [gpu and gpu.uuid for gpu in told] == by_cuda, visible
        if visible is None or visible[0].isdecimal():
            assert num_visible_gpus(visible) == len(by_cuda)


def _uuids_by_cuda(environment: dict[str, str]) -> list[str]:
    code = (
        "import json, torch; cuda = torch.cuda\n"
        "uuids = [str(cuda.get_device_properties(i).uuid) for i in range(cuda.device_count())]\n"
        "print(json.dumps(['GPU-' + uuid for uuid in uuids]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    uuids: list[str] = json.loads(output.stdout)
    return uuids
