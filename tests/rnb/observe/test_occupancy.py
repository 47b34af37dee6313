"""What --occupancy gathers from its sampler and its probes, and what it tells of what it cannot have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from rnb.observe.kernel_probe import KernelProbe, KernelRecord
from rnb.observe.observer import End, Seen, Start, Watched
from rnb.observe.occupancy import OccupancyObserver
from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import Plan, PlanOptions, make_plan
from rnb.transport.local.fabric import LocalFabric
from tests.support.gpu_use import LOADER, NETWORK, samples, traced
from tests.support.running import tiny
from utils.cupti import sampling_process
from utils.cupti.gpu_sampler import GpuSamples

Records = Mapping[str, list[KernelRecord]]


class FakeProcess:
    """What the sampling process answers."""

    at_start: dict[int, str]
    at_stop: tuple[list[GpuSamples], dict[int, str]]
    last: FakeProcess

    def __init__(self, devices: Sequence[int], *, interval_us: int) -> None:
        self.devices, self.is_over = devices, False
        FakeProcess.last = self

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
    return make_plan(parse_config([tiny("Load"), tiny("Classify")]), PlanOptions(mode=mode))


def told() -> dict[str, list[KernelRecord]]:
    return {replica.name: [KernelRecord(found=found)] for replica, found in traced(100).items()}


class Watching:
    """Takes an observer through a run; `lines` is what the user is shown."""

    def __init__(self, mode: str = "cuda") -> None:
        self.observer, self.lines, the_plan = OccupancyObserver(), list[str](), plan(mode)
        self.probe = self.observer.probe(the_plan)
        fabric = LocalFabric()
        watched = Watched(
            plan=the_plan,
            table=fabric.table(num_requests=1, events=the_plan.events),
            queues=(),
            payloads=(),
            data="",
            num_warmup=0,
            clock=fabric.clock,
            warn=self.lines.append,
        )
        self.observer.prepare(watched)

    def start(self, records: Records) -> None:
        self.observer.start(Start(pids={}, facts={}, told=records))

    def stop(self, records: Records) -> Seen:
        return self.observer.stop(End(start_ns=0, time_ns=1, is_complete=True, told=records))


def test_it_gathers_counters_and_kernels(process: type[FakeProcess]) -> None:
    watching = Watching()
    assert watching.probe == KernelProbe(observer="occupancy", gpus=frozenset({"step 0.0", "step 1.0"}))
    assert process.last.devices == [0]
    watching.start({})
    seen = watching.stop(told())
    assert set(seen.tables) == {"occupancy", "kernel_windows", "kernels"}
    assert seen.tables["kernel_windows"]["occupancy_pct"].tolist() == [20, 60]
    assert (seen.notes, watching.lines) == ([], [])


def test_a_reason_is_told_once_with_all_that_is_missing(
    process: type[FakeProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "utils/cupti/cupti.so is not built: run ./build_cupti.sh"
    monkeypatch.setattr(process, "at_start", {0: reason})
    monkeypatch.setattr(process, "at_stop", ([], {}))
    watching = Watching()
    failed = {replica.name: [KernelRecord(problem=reason)] for replica in (LOADER, NETWORK)}
    watching.start(failed)
    seen = watching.stop(failed)
    assert seen.tables == {}
    line = (
        f"{reason}; the run goes on without the counters of GPU 0, the kernels of step 0.0,"
        " the kernels of step 1.0"
    )
    assert watching.lines == [f"--occupancy: {line}"]
    assert seen.notes == [line]


def test_losses_are_told(process: type[FakeProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    of_gpu = samples(1000)
    object.__setattr__(of_gpu, "num_overflows", 3)
    monkeypatch.setattr(process, "at_stop", ([of_gpu], {}))
    kernels = told()
    found = kernels["step 1.0"][0].found
    assert found
    found.num_dropped = 7
    watching = Watching()
    watching.start({})
    watching.stop(kernels)
    assert watching.lines == [
        "--occupancy: GPU 0: its buffer of counters ran full, so samples are missing",
        "--occupancy: step 1.0: CUPTI dropped 7 records of kernels",
    ]


def test_without_a_gpu_it_says_so() -> None:
    watching = Watching("cpu")
    assert watching.probe is None
    watching.start({})
    seen = watching.stop({})
    line = "no step of this run computes on a GPU; the run goes on without occupancy"
    assert (seen.tables, seen.notes) == ({}, [line])
    assert watching.lines == [f"--occupancy: {line}"]


def test_however_a_run_ends_the_sampling_does(process: type[FakeProcess]) -> None:
    watching = Watching()
    watching.observer.kill()
    assert process.last.is_over
    OccupancyObserver().kill()  # of a run that ended before it was prepared
