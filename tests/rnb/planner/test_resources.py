"""What a real run's telemetry adds to what its calls say."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.planner.resources import call_ms, uses_of
from rnb.record.tables import TELEMETRY
from tests.support.known_times import KnownTimes, simulated, spec_of, step


def test_what_was_read_is_told_beside_what_the_calls_say() -> None:
    run = simulated(spec_of({**step("ChangeOne"), "gpus": [0]}, videos=50), KnownTimes(lambda *_: 10.0))
    start_ns, end_ns = run.window_ns
    run.tables[TELEMETRY] = {
        "time_ns": np.linspace(start_ns + 1, end_ns, 5).astype(np.int64),
        "cpu.percent": np.full(5, 25.0),
        "gpu0.sm_percent": np.full(5, 80.0),
        "gpu0.nvdec_percent": np.full(5, 40.0),
        "gpu1.sm_percent": np.full(5, np.nan),
        "process.step 0.0.cpu_percent": np.full(5, 90.0),
    }
    assert {one.name: pytest.approx(one.busy, abs=0.01) for one in uses_of(run)} == {
        "step 0 ChangeOne, 1 worker": 1.0,
        "GPU 0: a call on it": 1.0,
        "the CPUs, read": 0.25,
        "SMs of GPU 0, read": 0.8,
        "video engines of GPU 0, read": 0.4,
    }
    assert call_ms(run, 0) == pytest.approx(10)
