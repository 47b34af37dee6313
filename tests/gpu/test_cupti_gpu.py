"""The CUPTI bridge on a GPU: what it traces, and its counters against Nsight Compute's."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from utils.cupti.errors import CuptiUnavailable
from utils.cupti.gpu_sampler import GpuSampler, GpuSamples
from utils.cupti.kernel_counters import KERNEL_METRICS, count_kernels

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).resolve().parents[2]
KERNELS = Path(__file__).with_name("cupti_kernels.py")

# The share of its warp slots that a matrix product of this size keeps busy varies little in time.
SPIN = """
import select, sys, torch
x = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
x @ x
torch.cuda.synchronize()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    x @ x
    torch.cuda.synchronize()
"""


@pytest.fixture(scope="module")
def cupti() -> ModuleType:
    """The bridge, built for this interpreter and CUDA."""
    subprocess.run(
        [ROOT / "build_cupti.sh"], env={**os.environ, "PYTHON": sys.executable}, check=True, timeout=120
    )
    from utils.cupti import cupti

    return cupti


@pytest.fixture
def half(cupti: ModuleType) -> torch.Tensor:
    matrix = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
    matrix @ matrix
    torch.cuda.synchronize()
    return matrix


def spin(matrix: torch.Tensor, seconds: float) -> tuple[int, int]:
    """Multiply for `seconds`; return when it began and ended, in perf_counter ns."""
    start_ns = time.perf_counter_ns()
    while time.perf_counter_ns() < start_ns + seconds * 1e9:
        matrix @ matrix
        torch.cuda.synchronize()
    return start_ns, time.perf_counter_ns()


def test_report_gives_each_kernel_with_times_of_perf_counter(cupti: ModuleType, half: torch.Tensor) -> None:
    cupti.initialize()
    before_ns = time.perf_counter_ns()
    for _ in range(3):
        half + 1
    cupti.flush()
    after_ns = time.perf_counter_ns()
    rows = cupti.report()
    cupti.finalize()
    assert len(rows) == 3
    assert cupti.num_dropped() == 0
    assert all("elementwise_kernel" in name for name, _, _ in rows)
    times = [t for _, start_ns, end_ns in rows for t in (start_ns, end_ns)]
    slack_ns = 1_000_000  # CUPTI interpolates between the two clocks
    assert times == sorted(times)
    assert before_ns - slack_ns < times[0] < times[-1] < after_ns + slack_ns


def test_records_tell_the_launch_and_who_launched_it(cupti: ModuleType, half: torch.Tensor) -> None:
    with cupti.trace(correlate=True):
        half + 1
        for request in (7, 8):
            with cupti.region("net", request):
                half @ half
                with cupti.region("copy"):
                    half.cpu()
    add, *products = (kernel for kernel in cupti.kernels())
    assert (add.step, add.request) == (None, None)
    assert add.grid[0] > 0
    assert add.block[0] >= 32
    assert add.theoretical_occupancy_pct == pytest.approx(100)
    assert [(kernel.step, kernel.request) for kernel in products] == [("net", 7), ("net", 8)]
    assert all(kernel.dynamic_shared_bytes > 0 for kernel in products)
    to_host = [copy for copy in cupti.copies() if copy.kind == "device to host"]
    assert [(copy.step, copy.request, copy.bytes) for copy in to_host] == [("copy", None, half.nbytes)] * 2


def test_many_kernels_are_traced_without_a_drop(cupti: ModuleType) -> None:
    small = torch.zeros(1, device="cuda")
    with cupti.trace(copies=False):
        for _ in range(50_000):
            small += 1
    table = cupti.kernel_table()
    assert cupti.num_dropped() == 0
    assert len(table["name"]) == 50_000
    assert small.item() == 50_000


def test_two_traces_at_once_are_refused(cupti: ModuleType) -> None:
    with cupti.trace(), pytest.raises(RuntimeError, match="tracing already"):
        cupti.initialize()


def test_tracing_and_counting_at_once_are_refused(cupti: ModuleType, half: torch.Tensor) -> None:
    with cupti.trace(), pytest.raises(RuntimeError, match="exclude each other"):
        count_kernels(lambda: half + 1)
    assert len(count_kernels(lambda: half + 1)) == 1


@pytest.fixture(scope="module")
def measured(cupti: ModuleType) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The same kernels under the bridge and under ncu, in order of launch."""
    ncu = shutil.which("ncu")
    if ncu is None:
        pytest.skip("ncu (Nsight Compute) is not installed")
    bridge = subprocess.run(
        [sys.executable, KERNELS, "bridge"], capture_output=True, text=True, check=True, timeout=120
    )
    metrics = ",".join([*KERNEL_METRICS.values(), "sm__maximum_warps_per_active_cycle_pct"])
    # Clocks and caches are left as in a run: the bridge does not flush the L2 cache either.
    options = ["--clock-control", "none", "--cache-control", "none", "--profile-from-start", "off"]
    report = subprocess.run(
        [ncu, *options, "--csv", "--page", "raw", "--metrics", metrics, sys.executable, KERNELS, "ncu"],
        capture_output=True,
        text=True,
        check=True,
        timeout=170,
    )
    lines = [line for line in report.stdout.splitlines() if line.startswith('"')]
    return json.loads(bridge.stdout.splitlines()[-1]), list(csv.DictReader(lines))[
        1:
    ]  # without the row of units


def test_counters_agree_with_ncu_within_5_points(
    measured: tuple[list[dict[str, Any]], list[dict[str, str]]],
) -> None:
    bridge, ncu = measured
    assert len(bridge) == len(ncu) >= 5
    for ours, theirs in zip(bridge, ncu, strict=True):
        print(ours["name"][:60], [(ours[c], theirs[m]) for c, m in KERNEL_METRICS.items()])
    for ours, theirs in zip(bridge, ncu, strict=True):
        assert ours["name"] == ours["traced"]
        for column, metric in KERNEL_METRICS.items():
            assert ours[column] == pytest.approx(float(theirs[metric]), abs=5), (ours["name"], column)


def test_theoretical_occupancy_agrees_with_ncu(
    measured: tuple[list[dict[str, Any]], list[dict[str, str]]],
) -> None:
    for ours, theirs in zip(*measured, strict=True):
        assert ours["theoretical_pct"] == pytest.approx(
            float(theirs["sm__maximum_warps_per_active_cycle_pct"]), abs=0.1
        )


def test_counting_more_kernels_than_room_is_an_error(cupti: ModuleType, half: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="max_kernels: 2"):
        count_kernels(lambda: [half + i for i in range(5)], max_kernels=2)


def test_sampler_places_a_burst_in_time_with_its_occupancy(cupti: ModuleType, half: torch.Tensor) -> None:
    (counted,) = count_kernels(lambda: half @ half)
    with GpuSampler(0) as sampler:
        time.sleep(0.2)
        start_ns, end_ns = spin(half, 0.3)
        time.sleep(0.2)
    samples = sampler.samples
    assert samples is not None
    assert samples.num_overflows == 0
    busy = samples.columns["sm_busy_pct"] > 20
    assert samples.start_ns[busy].min() == pytest.approx(start_ns, abs=5e6)
    assert samples.end_ns[busy].max() == pytest.approx(end_ns, abs=5e6)
    mean = samples.mean(start_ns, end_ns)
    assert mean["occupancy_pct"] == pytest.approx(counted.occupancy_pct, abs=5)
    assert 50 < mean["sm_busy_pct"] <= 100
    assert mean["tensor_pct"] > 50
    assert samples.mean(0, start_ns - 5_000_000)["sm_busy_pct"] < 5


def test_short_intervals_are_sampled_without_a_gap(cupti: ModuleType, half: torch.Tensor) -> None:
    with GpuSampler(0, interval_us=100) as sampler:
        spin(half, 1.0)
    samples = sampler.samples
    assert samples is not None
    assert samples.num_overflows == 0
    assert len(samples.start_ns) > 9_000


def sample_beside(environment: dict[str, str]) -> GpuSamples:
    """Sample for a second while two other processes work on the GPU."""
    others = [
        subprocess.Popen(
            [sys.executable, "-c", SPIN],
            stdin=subprocess.PIPE,  # its end ends them
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    try:
        for other in others:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
        with GpuSampler(0) as sampler:
            time.sleep(1.0)
    finally:
        for other in others:
            other.communicate(timeout=60)
    assert sampler.samples is not None
    return sampler.samples


def test_sampler_sees_the_kernels_of_other_processes(cupti: ModuleType) -> None:
    mean = sample_beside(dict(os.environ)).mean()
    assert mean["sm_busy_pct"] > 40
    assert mean["occupancy_pct"] == pytest.approx(14.6, abs=5)


@pytest.fixture
def mps(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes that share a GPU under an MPS daemon of this test's own."""
    if shutil.which("nvidia-cuda-mps-control") is None:
        pytest.skip("nvidia-cuda-mps-control is not installed")
    environment = {
        **os.environ,
        "CUDA_MPS_PIPE_DIRECTORY": str(tmp_path / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(tmp_path / "log"),
    }
    for name in ("pipe", "log"):
        (tmp_path / name).mkdir()
    # The daemon must see all GPUs: what it sees is what its clients choose among.
    of_daemon = {name: value for name, value in environment.items() if name != "CUDA_VISIBLE_DEVICES"}
    subprocess.run(["nvidia-cuda-mps-control", "-d"], env=of_daemon, check=True, timeout=30)
    yield environment
    subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, env=of_daemon, timeout=60)


def test_sampler_sees_the_kernels_of_mps_clients(cupti: ModuleType, mps: dict[str, str]) -> None:
    assert sample_beside(mps).mean()["sm_busy_pct"] > 60


def test_a_second_sampler_is_refused_in_one_line(cupti: ModuleType, half: torch.Tensor) -> None:
    with GpuSampler(0) as first:
        with pytest.raises(CuptiUnavailable, match="another sampler or profiler"):
            GpuSampler(0).start()
        with pytest.raises(CuptiUnavailable, match="HARDWARE_BUSY"):
            count_kernels(lambda: half + 1)
        spin(half, 0.1)
    assert first.samples is not None
    assert first.samples.mean()["sm_busy_pct"] > 10


def test_the_command_prints_the_kernels_of_one_convolution(cupti: ModuleType) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "test_cupti.py"], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    traced, counted = result.stdout.split("\n\n")
    names = [line.split()[0] for line in traced.splitlines()[:-1]]
    assert traced.splitlines()[-1] == "0 records dropped"
    assert any("implicit_gemm" in name or "conv" in name for name in names)
    assert [line.split()[-1] for line in counted.splitlines()[1:]] == names
