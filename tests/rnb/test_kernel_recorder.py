from __future__ import annotations

import multiprocessing
import time

import pytest

from rnb.control import Control
from rnb.kernel_recorder import KernelRecord, KernelRecorder, KernelWindowing
from rnb.stop import StopFlag
from tests.utils.fake_cupti import FakeCupti
from tests.utils.test_kernel_summary import make_table
from utils import kernel_windows
from utils.cupti_errors import CuptiUnavailable


def record(windowing: KernelWindowing | None) -> list[tuple[str, KernelRecord]]:
    """What the driver is told of a run that takes as long as it takes to say so."""
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        recorder = KernelRecorder(Control(connection=theirs, stop=StopFlag()), windowing)
        recorder.prepare()
        with recorder.recording(time.perf_counter_ns() - 10_000_000_000):
            time.sleep(0.2)
        told = []
        while ours.poll():
            told.append(ours.recv())
        return told


def test_it_tells_what_it_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(("a", 0, 1))
    bridge = FakeCupti(table=table)
    monkeypatch.setattr(bridge, "demangle", lambda name: name, raising=False)
    monkeypatch.setattr(kernel_windows, "open_cupti", lambda: bridge)
    ((kind, told),) = record(KernelWindowing(window_s=0.01, period_s=60))
    assert (kind, told.problem) == ("kernels", "")
    assert told.found
    assert [window.num_kernels for window in told.found.windows] == [0], "the kernel ran before the window"


def test_what_it_cannot_trace_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise CuptiUnavailable("no bridge")

    monkeypatch.setattr(kernel_windows, "open_cupti", fail)
    assert record(KernelWindowing()) == [("kernels", KernelRecord(problem="no bridge"))]


def test_without_being_asked_it_does_nothing() -> None:
    assert record(None) == []
