"""Who else is on a GPU, as a fake driver tells it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from rnb.observe import nvml
from rnb.observe.gpu_others import GpuOthers
from tests.support.fake_nvml import PY3NVML, FakeGpu, install

OWN, OTHER, GONE = os.getpid(), os.getppid(), 4_194_305
NOW_US = time.time_ns() // 1000 + 3_600_000_000
"""Recent for as long as the tests run."""


def others_of(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu) -> GpuOthers:
    install(monkeypatch, [gpu])
    return GpuOthers(nvml.machine().gpus[0], [OWN])


def on_gpu(*pids: int, percent: Sequence[tuple[int, int, int]] = ()) -> FakeGpu:
    return FakeGpu(processes=dict.fromkeys(pids, 100), percent=percent)


def test_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    others = others_of(monkeypatch, on_gpu(OWN, percent=[(OWN, 90, NOW_US)]))
    assert (others.percent(), others.seen()) == (0.0, [])
    assert others_of(monkeypatch, on_gpu()).percent() == 0.0


def test_the_latest_use_of_each_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    used = [(OWN, 50, NOW_US), (OTHER, 30, NOW_US), (OTHER, 20, NOW_US - 9), (GONE, 5, NOW_US), (1, 9, 7)]
    others = others_of(monkeypatch, on_gpu(OWN, OTHER, GONE, 1, percent=used))
    assert others.percent() == 35.0
    named = {one["pid"]: one["name"] for one in others.seen()}
    assert set(named) == {OTHER, GONE, 1}
    assert named[GONE] == "unknown"
    with open(f"/proc/{OTHER}/comm") as file:
        assert named[OTHER] == file.read().strip()


def test_one_that_only_holds_memory_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert others_of(monkeypatch, on_gpu(OWN, OTHER)).percent() == 0.0


def test_what_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = FakeGpu(processes={OWN: 1, OTHER: 1}, lacks=["nvmlDeviceGetProcessUtilization"])
    assert math.isnan(others_of(monkeypatch, lacking).percent())
    of_another_namespace = on_gpu(OTHER, percent=[(OTHER, 90, NOW_US)])
    assert math.isnan(others_of(monkeypatch, of_another_namespace).percent())
    install(monkeypatch, [on_gpu(OWN, OTHER)], library=PY3NVML)
    gpu = nvml.machine().gpus[0]
    monkeypatch.delattr(sys.modules[PY3NVML], "nvmlDeviceGetProcessUtilization")
    assert gpu.process_percent(since_us=0) is None


def test_the_server_of_mps_computes_for_its_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clients are listed themselves, so it is nobody else."""
    name_itself = "open('/proc/self/comm', 'w').write('nvidia-cuda-mps'); print(flush=True); input()"
    command = [sys.executable, "-c", name_itself]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        server.stdout.readline()
        others = others_of(monkeypatch, on_gpu(OWN, server.pid, percent=[(server.pid, 80, NOW_US)]))
        assert (others.percent(), others.seen()) == (0.0, [])
        server.kill()


def test_one_that_the_run_has_started_meanwhile_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    others = others_of(monkeypatch, on_gpu(OWN, OTHER, percent=[(OTHER, 30, NOW_US)]))
    assert others.percent() == 30.0
    others.adopt(OTHER)
    assert others.percent() == 0.0
