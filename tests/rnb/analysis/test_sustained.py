"""The highest mean over any stretch of a run."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.sustained import highest_mean, stretch_ns
from rnb.record.run import Run
from tests.support.sample_runs import START_NS
from tests.support.timed_runs import timed_run


def run_of(seconds: float) -> Run:
    return timed_run({"runner0_start": np.full(1, 1000 * seconds)})


def test_a_stretch_is_a_tenth_of_the_run_and_at_least_a_second() -> None:
    found = [stretch_ns(run_of(seconds)) / 1e9 for seconds in (0.5, 5, 60)]
    assert found == [0.5, 1.0, 6.0]


def test_it_is_found_wherever_it_begins() -> None:
    """Samples of 0.3 s, so that no stretch of a second begins and ends with one."""
    times_ns = START_NS + (np.arange(20) * 0.3e9).astype(np.int64)
    values = np.zeros(20)
    values[0] = 100.0  # before the first sample, so of no time
    values[7:10] = 0.8
    assert highest_mean(run_of(5.0), times_ns, values) == pytest.approx(0.8 * 0.9)


def test_what_is_not_known_is_left_out_and_half_must_be_known() -> None:
    times_ns = START_NS + (np.arange(21) * 0.25e9).astype(np.int64)
    values = np.full(21, np.nan)
    assert highest_mean(run_of(5.0), times_ns, values) is None
    values[3] = 1.0
    assert highest_mean(run_of(5.0), times_ns, values) is None
    values[4] = 0.5
    assert highest_mean(run_of(5.0), times_ns, values) == pytest.approx(0.75)


def test_no_samples_and_no_phase() -> None:
    times_ns = np.array([START_NS, START_NS + 10**9])
    assert highest_mean(run_of(5.0), times_ns[:1], np.ones(1)) is None
    assert highest_mean(run_of(0.0), times_ns, np.ones(2)) is None
    assert highest_mean(run_of(0.5), times_ns, np.ones(2)) == pytest.approx(1.0)
