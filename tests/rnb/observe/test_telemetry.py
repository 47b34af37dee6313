"""Telemetry: what it reads, what it leaves as NaN, and memory that stays flat."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.observe import nvml, telemetry
from rnb.observe.observer import End, Seen, Start, Watched
from rnb.observe.telemetry import Telemetry, TelemetryObserver
from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import Plan, PlanOptions, make_plan
from rnb.transport.local.fabric import LocalFabric
from tests.support.fake_nvml import SAMPLED, FakeGpu, install
from tests.support.played import NOTHING


@pytest.fixture
def busy_process() -> Iterator[int]:
    """The pid of a process that computes all the time, in two threads that share its GIL."""
    spin = (
        "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin).start(); spin()"
    )
    with subprocess.Popen([sys.executable, "-c", spin]) as process:
        yield process.pid
        process.kill()


def sample(seconds: float = 0.0, **settings: Any) -> dict[str, np.ndarray]:
    with Telemetry(**{"gpus": {}, "pids": {}, "interval_s": 0.02, **settings}) as running:
        time.sleep(seconds)
    return running.columns(0)


def test_samples_come_at_the_interval_and_one_at_each_end() -> None:
    before_ns = time.perf_counter_ns()
    columns = sample(0.3, interval_s=0.1)
    times_ns = columns["time_ns"]
    assert before_ns <= times_ns[0]
    assert times_ns[-1] <= time.perf_counter_ns()
    assert np.ptp(times_ns) >= 0.29e9
    assert 3 <= len(times_ns) <= np.ptp(times_ns) / 0.1e9 + 2


def test_times_are_of_the_epoch_and_whole() -> None:
    with Telemetry(gpus={}, pids={}) as running:
        pass
    offset_ns = 1_795_000_000_000_000_001
    times_ns = running.columns(offset_ns)["time_ns"]
    assert times_ns.dtype == np.int64
    assert (times_ns - offset_ns).tolist() == running.columns(0)["time_ns"].tolist()


def test_a_process_that_computes_and_one_that_waits(busy_process: int) -> None:
    columns = sample(0.4, pids={"step 0.1": busy_process, "driver": os.getpid()})
    busy, idle = (columns[f"process.{name}.cpu_percent"] for name in ("step 0.1", "driver"))
    assert math.isnan(busy[0])
    assert 1 < np.nanmean(busy) <= 110  # of one core, which others may use too; two threads share the GIL
    assert np.nanmean(busy) > np.nanmean(idle)
    assert 0 < np.nanmean(columns["cpu.percent"]) <= 100
    assert columns["process.driver.memory_bytes"][0] == pytest.approx(_resident_bytes(), rel=0.2)


def _resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def test_a_process_that_has_ended_is_nan() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    columns = sample(pids={"client": process.pid})
    for reading in ("cpu_percent", "memory_bytes", "gpu_memory_bytes"):
        assert np.isnan(columns[f"process.client.{reading}"]).all()


def test_without_a_gpu_there_are_the_cpus_only() -> None:
    assert list(sample(pids={"client": os.getpid()})) == [
        "time_ns",
        "cpu.percent",
        "cpu.steal_percent",
        "process.client.cpu_percent",
        "process.client.memory_bytes",
        "process.client.gpu_memory_bytes",
        "children.cpu_percent",
    ]


def test_all_of_a_gpu_by_its_index_in_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu()])
    columns = sample(gpus={3: nvml.machine().gpus[0]})
    shown = {name.removeprefix("gpu3."): column for name, column in columns.items() if "gpu" in name}
    assert {name: set(column) for name, column in shown.items()} == {
        name: {value} for name, value in {**SAMPLED, "others_percent": 0.0}.items()
    }


def test_a_reading_that_a_gpu_lacks_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeGpu(lacks=["nvmlDeviceGetDecoderUtilization"])])
    columns = sample(gpus={0: nvml.machine().gpus[0]})
    assert np.isnan(columns["gpu0.nvdec_percent"]).all()
    assert columns["gpu0.sm_percent"].tolist() == [37, 37]


def test_a_gpu_that_nvml_does_not_know_is_nan() -> None:
    columns = sample(gpus={0: None})
    for reading in SAMPLED:
        assert np.isnan(columns[f"gpu0.{reading}"]).all()


def test_the_memory_of_a_process_on_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    on_both, on_one, on_none = os.getpid(), os.getppid(), 1
    install(monkeypatch, [FakeGpu(processes={on_both: 100}), FakeGpu(mps_clients={on_both: 20, on_one: 3})])
    columns = sample(
        gpus=dict(enumerate(nvml.machine().gpus)),
        pids={"client": on_none, "step 0.0": on_both, "step 1.0": on_one},
    )
    assert columns["process.step 0.0.gpu_memory_bytes"][0] == 120
    assert columns["process.step 1.0.gpu_memory_bytes"][0] == 3
    assert math.isnan(columns["process.client.gpu_memory_bytes"][0])


def test_a_long_run_is_thinned_out_and_loses_no_use(busy_process: int) -> None:
    before_s = _cpu_time_s(busy_process)
    columns = sample(0.5, interval_s=0.005, max_samples=16, pids={"busy": busy_process})
    used_s = _cpu_time_s(busy_process) - before_s
    times_ns, percent = columns["time_ns"], columns["process.busy.cpu_percent"]
    assert 8 <= len(times_ns) <= 16
    assert np.ptp(times_ns) >= 0.45e9
    assert (np.diff(times_ns) > 0).all()
    assert np.sum(percent[1:] * np.diff(times_ns)) / 100e9 == pytest.approx(used_s, abs=0.1)


def _cpu_time_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_reading_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "STOP_TIMEOUT_S", 0.05)
    forever = threading.Event()

    class Hanging(nvml.Gpu):
        def __init__(self) -> None:
            pass

        def process_memory_bytes(self) -> dict[int, float]:
            forever.wait(10)
            return {}

        def read(self, reading: str) -> float:
            return 0.0

    running = Telemetry(gpus={0: Hanging()}, pids={})
    before_s = time.monotonic()
    with running:
        pass
    assert time.monotonic() - before_s < 5
    assert len(running.columns(0)["time_ns"]) == 0
    forever.set()


def test_the_gpus_of_the_plan_are_those_that_cuda_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    lacking = FakeGpu(uuid="GPU-1", lacks=["nvmlDeviceGetUtilizationRates"])
    install(monkeypatch, [FakeGpu(uuid="GPU-0"), lacking, FakeGpu(uuid="GPU-2", processes={os.getpid(): 64})])
    config = [{**NOTHING, "gpus": [-1]}, {**NOTHING, "gpus": [1, 1]}]
    plan = make_plan(parse_config(config), PlanOptions(mode="cuda"))
    (table,) = observed(plan, {"step 1.0": os.getpid()}).tables.values()
    assert {name.partition(".")[0] for name in table if name.startswith("gpu")} == {"gpu1"}
    assert set(table["gpu1.sm_percent"]) == {37}
    assert set(table["process.step 1.0.gpu_memory_bytes"]) == {64}
    assert "process.driver.cpu_percent" in table


def observed(plan: Plan, pids: dict[str, int]) -> Seen:
    """What the observer leaves of a run of no length."""
    fabric, observer = LocalFabric(), TelemetryObserver()
    table = fabric.table(num_requests=1, events=plan.events)
    observer.prepare(
        Watched(plan=plan, table=table, queues=(), payloads=(), data="", num_warmup=0, clock=fabric.clock)
    )
    observer.start(Start(pids=pids, facts={}, told={}))
    return observer.stop(End(start_ns=0, time_ns=1, is_complete=True, told={}))


def test_a_process_that_takes_the_place_of_another_one_goes_on_in_its_columns(busy_process: int) -> None:
    with Telemetry(gpus={}, pids={"step 0.0": os.getpid()}, interval_s=0.02) as running:
        time.sleep(0.2)
        running.replace("step 0.0", busy_process)
        time.sleep(0.4)
    percent = running.columns(0)["process.step 0.0.cpu_percent"]
    assert not (percent < 0).any()
    assert np.nanmean(percent[-5:]) > 1
    assert running.columns(0)["process.step 0.0.memory_bytes"][-1] < telemetry._resident_bytes(os.getpid())
