from __future__ import annotations

from collections.abc import Sequence

import pytest

from rnb.config import parse_config
from rnb.kernel_recorder import KernelRecord, KernelWindowing
from rnb.occupancy_recorder import OccupancyRecorder
from rnb.occupancy_tables import NOTHING_SEEN
from rnb.plan import Plan, make_plan
from tests.support.gpu_use import LOADER, NETWORK, samples, traced
from tests.support.running import tiny
from utils import sampling_process
from utils.gpu_sampler import GpuSamples


class FakeProcess:
    """What the sampling process answers."""

    at_start: dict[int, str]
    at_stop: tuple[list[GpuSamples], dict[int, str]]

    def __init__(self, devices: Sequence[int], *, interval_us: int) -> None:
        self.devices, self.is_over = devices, False

    def start(self) -> dict[int, str]:
        return self.at_start

    def stop(self) -> tuple[list[GpuSamples], dict[int, str]]:
        self.is_over = True
        return self.at_stop

    def kill(self) -> None:
        self.is_over = True


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> type[FakeProcess]:
    monkeypatch.setattr(sampling_process, "SamplingProcess", FakeProcess)
    monkeypatch.setattr(FakeProcess, "at_start", {}, raising=False)
    monkeypatch.setattr(FakeProcess, "at_stop", ([samples(1000)], {}), raising=False)
    return FakeProcess


def plan(mode: str = "cuda") -> Plan:
    config = parse_config([tiny("Load"), tiny("Classify")])
    return make_plan(config, mode=mode, batch_size=1, queue_capacity=10)


def told() -> dict[str, KernelRecord]:
    return {replica.name: KernelRecord(found=found) for replica, found in traced(100).items()}


def test_it_gathers_counters_and_kernels(
    process: type[FakeProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = OccupancyRecorder(plan(), is_asked=True)
    assert recorder.windowing == KernelWindowing()
    recorder.prepare()
    recorder.start({})
    tables = recorder.stop(told(), epoch_offset_ns=0)
    assert tables.kernel_windows
    assert tables.kernel_windows["occupancy_pct"].tolist() == [20, 60]
    assert tables.occupancy
    assert recorder.notes == []
    assert capsys.readouterr().err == ""


def test_a_reason_is_told_once_with_all_that_is_missing(
    process: type[FakeProcess], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "utils/cupti.so is not built: run ./build_cupti.sh"
    monkeypatch.setattr(process, "at_start", {0: reason})
    monkeypatch.setattr(process, "at_stop", ([], {}))
    recorder = OccupancyRecorder(plan(), is_asked=True)
    recorder.prepare()
    failed = {replica.name: KernelRecord(problem=reason) for replica in (LOADER, NETWORK)}
    recorder.start(failed)
    assert recorder.stop(failed, epoch_offset_ns=0) == NOTHING_SEEN
    assert capsys.readouterr().err == (
        f"--occupancy: {reason}; the run goes on without the counters of GPU 0, the kernels of step 0.0,"
        " the kernels of step 1.0\n"
    )
    assert len(recorder.notes) == 1


def test_losses_are_told(
    process: type[FakeProcess], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of_gpu = samples(1000)
    object.__setattr__(of_gpu, "num_overflows", 3)
    monkeypatch.setattr(process, "at_stop", ([of_gpu], {}))
    kernels = told()
    assert kernels["step 1.0"].found
    kernels["step 1.0"].found.num_dropped = 7
    recorder = OccupancyRecorder(plan(), is_asked=True)
    recorder.prepare()
    recorder.stop(kernels, epoch_offset_ns=0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "--occupancy: GPU 0: its buffer of counters ran full, so samples are missing",
        "--occupancy: step 1.0: CUPTI dropped 7 records of kernels",
    ]


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = OccupancyRecorder(plan("cpu"), is_asked=True)
    assert recorder.windowing is None
    recorder.prepare()
    recorder.start({})
    assert recorder.stop({}, epoch_offset_ns=0) == NOTHING_SEEN
    line = "no step of this run computes on a GPU; the run goes on without occupancy"
    assert capsys.readouterr().err == f"--occupancy: {line}\n"


def test_without_being_asked_it_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = OccupancyRecorder(plan(), is_asked=False)
    assert recorder.windowing is None
    recorder.prepare()
    recorder.start({})
    assert recorder.stop({}, epoch_offset_ns=0) == NOTHING_SEEN
    recorder.kill()
    assert capsys.readouterr().err == ""
