"""The part of --occupancy in a runner: what it tells the driver, and when."""

from __future__ import annotations

import multiprocessing
import pickle
import time

import pytest

from rnb.observe.kernel_probe import KernelProbe, KernelRecord
from tests.utils.cupti.fake_cupti import FakeCupti
from tests.utils.cupti.test_kernel_summary import make_table
from utils.cupti import kernel_windows
from utils.cupti.errors import CuptiUnavailable

THIS = multiprocessing.current_process().name


def record(probe: KernelProbe) -> list[KernelRecord]:
    """What the driver is told of a run that takes as long as it takes to say so."""
    probe = pickle.loads(pickle.dumps(probe))  # as it comes to the runner
    told: list[KernelRecord] = []
    probe.prepare(told.append)
    probe.start(time.perf_counter_ns() - 10_000_000_000)
    time.sleep(0.2)
    probe.stop()
    return told


def test_it_tells_what_it_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(("a", 0, 1))
    bridge = FakeCupti(table=table)
    monkeypatch.setattr(bridge, "demangle", lambda name: name, raising=False)
    monkeypatch.setattr(kernel_windows, "open_cupti", lambda: bridge)
    (told,) = record(KernelProbe(observer="occupancy", gpus=frozenset({THIS}), window_s=0.01, period_s=60))
    assert told.problem == ""
    assert told.found
    assert [window.num_kernels for window in told.found.windows] == [0], "the kernel ran before the window"


def test_what_it_cannot_trace_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise CuptiUnavailable("no bridge")

    monkeypatch.setattr(kernel_windows, "open_cupti", fail)
    probe = KernelProbe(observer="occupancy", gpus=frozenset({THIS}))
    told: list[KernelRecord] = []
    probe.prepare(told.append)
    assert told == [KernelRecord(problem="no bridge")]
    probe.start(0)
    probe.stop()
    assert told == [KernelRecord(problem="no bridge")]


def test_of_a_runner_without_a_gpu_it_tells_nothing() -> None:
    assert record(KernelProbe(observer="occupancy", gpus=frozenset({"step 7.0"}))) == []
