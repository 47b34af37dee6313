from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from tests.utils.cupti.fake_cupti import FakeCupti
from tests.utils.cupti.test_kernel_summary import make_table
from utils.cupti import kernel_windows
from utils.cupti.errors import CuptiError, CuptiUnavailable
from utils.cupti.kernel_windows import OTHERS, KernelWindows, WindowedKernels


class TracingCupti(FakeCupti):
    """Gives out two kernels that ran while it traced, one that began before and one that still runs."""

    def initialize(self, *, correlate: bool = False, copies: bool = True) -> None:
        super().initialize(correlate=correlate)
        self.start_ns = time.perf_counter_ns()

    def kernel_table(self) -> dict[str, Any]:
        now_ns = self.start_ns + 1_000_000
        inside = (("a", now_ns, now_ns + 3_000_000), ("b", now_ns + 4_000_000, now_ns + 5_000_000))
        outside = (("a", now_ns - 2_000_000, now_ns), ("b", now_ns + 6_000_000, 0))
        return make_table(*inside, *outside)

    def demangle(self, name: str) -> str:
        return f"kernel {name}"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> TracingCupti:
    bridge = TracingCupti()
    monkeypatch.setattr(kernel_windows, "open_cupti", lambda: bridge)
    return bridge


def trace(*, seconds: float, window_s: float, period_s: float) -> WindowedKernels:
    windows = KernelWindows(window_s=window_s, period_s=period_s)
    windows.prepare()
    windows.start(time.perf_counter_ns())
    time.sleep(seconds)
    return windows.stop()


def test_a_window_has_the_kernels_that_lie_in_it(fake: TracingCupti) -> None:
    found = trace(seconds=0.3, window_s=0.02, period_s=60)
    (window,) = found.windows
    assert (found.num_dropped, found.problem) == (3, "")
    assert window.end_ns - window.start_ns >= 0.02e9
    assert (window.num_kernels, window.busy_ns) == (2, 4_000_000)
    assert (window.num_gaps, window.gap_max_ns, window.gap_p50_ns) == (1, 1_000_000, 1_000_000)
    assert window.names == ["kernel a", "kernel b"]
    assert (window.num_launches, window.total_ns) == ([1, 1], [3_000_000, 1_000_000])
    assert window.theoretical_occupancy_pct == [50, 50]
    assert window.busy_per_bin_ns.sum() == pytest.approx(4_000_000)
    assert window.busy_per_bin_ns.max() <= window.bin_ns == 1_000_000


def test_windows_follow_each_other_by_a_period(fake: TracingCupti) -> None:
    found = trace(seconds=0.5, window_s=0.01, period_s=0.1)
    starts_ns = np.array([window.start_ns for window in found.windows])
    assert 2 <= len(starts_ns) <= 6
    assert (np.diff(starts_ns) > 0.05e9).all()


def test_a_window_that_is_open_at_the_end_is_cut_short(fake: TracingCupti) -> None:
    started = time.monotonic()
    (window,) = trace(seconds=0.05, window_s=30, period_s=60).windows
    assert time.monotonic() - started < 10
    assert window.end_ns - window.start_ns < 10e9
    assert not fake.is_tracing()


def test_nothing_is_traced_before_its_time(fake: TracingCupti) -> None:
    windows = KernelWindows()
    windows.prepare()
    windows.start(time.perf_counter_ns() + 60_000_000_000)
    assert windows.stop().windows == []
    assert fake.calls == [("initialize", False), "finalize"]


def test_of_many_kernels_the_rest_is_added_up(fake: TracingCupti, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_windows, "NUM_NAMES", 1)
    (window,) = trace(seconds=0.05, window_s=0.02, period_s=60).windows
    assert window.names == ["kernel a", OTHERS]
    assert (window.num_launches, window.total_ns) == ([1, 1], [3_000_000, 1_000_000])
    assert np.isnan(window.theoretical_occupancy_pct[1])


def test_of_many_windows_every_other_is_dropped(fake: TracingCupti, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_windows, "MAX_WINDOWS", 3)
    found = trace(seconds=0.4, window_s=0.001, period_s=0.01)
    assert len(found.windows) in (2, 3)
    assert found.windows[-1].start_ns - found.windows[0].start_ns > 0.05e9


def test_what_fails_while_it_runs_ends_the_tracing_only(
    fake: TracingCupti, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dict[str, Any]:
        raise CuptiError("CUPTI_ERROR_UNKNOWN")

    monkeypatch.setattr(fake, "kernel_table", fail)
    found = trace(seconds=0.05, window_s=0.01, period_s=0.02)
    assert (found.windows, found.problem) == ([], "CUPTI_ERROR_UNKNOWN")


def test_bad_durations_and_a_missing_bridge_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="window_s: 6"):
        KernelWindows(window_s=6, period_s=5)

    def fail() -> None:
        raise CuptiUnavailable("no GPU")

    monkeypatch.setattr(kernel_windows, "open_cupti", fail)
    with pytest.raises(CuptiUnavailable, match="no GPU"):
        KernelWindows().prepare()
