from __future__ import annotations

import time

import numpy as np
import pytest

from tests.utils.fake_cupti import FakeCupti
from tests.utils.test_kernel_summary import make_table
from utils import kernel_trace
from utils.cupti_errors import CuptiUnavailable
from utils.kernel_trace import KernelTrace


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCupti:
    table = make_table(("a", 0, 10), ("b", 20, 50), ("a", 60, 70))
    table["device"] = np.array([0, 0, 1], dtype=np.int32)
    table["request"] = np.array([5, 5, -1], dtype=np.int64)
    bridge = FakeCupti(table=table)
    monkeypatch.setattr(kernel_trace, "open_cupti", lambda: bridge)
    return bridge


def test_summary_is_by_device(fake: FakeCupti) -> None:
    trace = KernelTrace("net", seconds=100, num_top=1)
    trace.start()
    summary = trace.stop()
    first, second = summary.devices
    assert summary.num_dropped == 3
    assert (first.step, first.device, first.num_kernels, first.num_requests) == ("net", 0, 2, 1)
    assert [kernel.name for kernel in first.top] == ["b"]
    assert first.gaps.total_ns == 10
    assert (second.device, second.num_kernels, second.num_requests) == (1, 1, 0)
    assert fake.calls == [("initialize", True), "finalize", "clear"]


def test_requests_are_named_until_the_time_is_over(fake: FakeCupti, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 0
    monkeypatch.setattr(time, "perf_counter_ns", lambda: now_ns)
    trace = KernelTrace("net", seconds=1.0)
    trace.start()
    for now_ns in (0, 999_999_999, 1_000_000_000, 1_000_000_001):
        with trace.request(now_ns):
            pass
    assert fake.calls == [
        ("initialize", True),
        ("region", "net", 0),
        ("region", "net", 999_999_999),
        "finalize",
    ]


def test_a_request_without_a_trace_runs_all_the_same(fake: FakeCupti) -> None:
    with KernelTrace("net").request(1):
        pass
    assert fake.calls == []


def test_stop_without_start_and_bad_seconds_are_errors() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        KernelTrace("net").stop()
    with pytest.raises(ValueError, match="seconds: 0"):
        KernelTrace("net", seconds=0)


def test_an_unavailable_bridge_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise CuptiUnavailable("no GPU")

    monkeypatch.setattr(kernel_trace, "open_cupti", fail)
    with pytest.raises(CuptiUnavailable, match="no GPU"):
        KernelTrace("net").start()
