from __future__ import annotations

import math
import time

import numpy as np
import pytest

from tests.utils.cupti.fake_cupti import FakeCupti
from utils.cupti import gpu_sampler
from utils.cupti.errors import CuptiUnavailable
from utils.cupti.gpu_sampler import METRIC_SETS, GpuSampler, GpuSamples, choose_metrics


def make_samples(**columns: list[float]) -> GpuSamples:
    """Samples of 10 ns each, from time 0."""
    count = len(next(iter(columns.values())))
    starts = np.arange(count, dtype=np.int64) * 10
    return GpuSamples(0, starts, starts + 10, {name: np.array(values) for name, values in columns.items()})


def use(monkeypatch: pytest.MonkeyPatch, fake: FakeCupti) -> FakeCupti:
    monkeypatch.setattr(gpu_sampler, "open_cupti", lambda: fake)
    return fake


def test_mean_weighs_occupancy_by_how_busy_the_gpu_was() -> None:
    samples = make_samples(occupancy_pct=[80.0, 20.0, 0.0], sm_busy_pct=[100.0, 50.0, 0.0])
    mean = samples.mean()
    assert mean["occupancy_pct"] == pytest.approx((80 * 100 + 20 * 50) / 150)
    assert mean["sm_busy_pct"] == pytest.approx(50)


def test_mean_of_a_stretch_takes_only_samples_within() -> None:
    samples = make_samples(occupancy_pct=[10.0, 20.0, 30.0], sm_busy_pct=[10.0, 20.0, 30.0])
    assert samples.mean(10, 20)["sm_busy_pct"] == pytest.approx(20)
    assert samples.mean(5, 29)["sm_busy_pct"] == pytest.approx(20)
    assert math.isnan(samples.mean(31, 40)["sm_busy_pct"])


def test_mean_of_an_idle_gpu_is_zero_though_its_occupancy_is_undefined() -> None:
    mean = make_samples(occupancy_pct=[math.nan, math.nan], sm_busy_pct=[0.0, 0.0]).mean()
    assert mean == {"occupancy_pct": 0.0, "sm_busy_pct": 0.0}


def test_the_first_set_of_metrics_that_fits_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(monkeypatch, FakeCupti(passes=dict.fromkeys(METRIC_SETS[1].values(), 2)))
    fake.passes.update(dict.fromkeys(METRIC_SETS[2].values(), 1))
    assert choose_metrics("chip0") == METRIC_SETS[2]
    fake.passes.update(dict.fromkeys(METRIC_SETS[1].values(), 1))
    assert choose_metrics("chip0") == METRIC_SETS[1]
    fake.passes.update(dict.fromkeys(METRIC_SETS[0].values(), 1))
    assert choose_metrics("chip0") == METRIC_SETS[0]


def test_a_chip_without_any_fitting_set_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeCupti())
    with pytest.raises(CuptiUnavailable, match="GPU chip7"):
        choose_metrics("chip7")


@pytest.mark.parametrize(("interval_us", "period_ms"), [(1000, 100), (100, 10), (10, 10), (250_000, 250)])
def test_samples_are_read_out_before_the_buffer_fills(
    monkeypatch: pytest.MonkeyPatch, interval_us: int, period_ms: int
) -> None:
    fake = use(monkeypatch, FakeCupti(passes=dict.fromkeys(METRIC_SETS[2].values(), 1)))
    fake.samples = (np.empty((0, 2), dtype=np.int64), np.empty((0, 2)))
    with GpuSampler(0, interval_us=interval_us):
        pass
    assert fake.sampler_options == {
        "interval_ns": interval_us * 1000,
        "decode_period_ns": period_ms * 1_000_000,
    }


def test_a_sample_that_reaches_back_before_the_start_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(monkeypatch, FakeCupti(passes=dict.fromkeys(METRIC_SETS[2].values(), 1)))
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 1000)
    fake.samples = (np.array([[0, 1001], [1001, 1002]]), np.array([[1.0, 2], [4, 5]]))
    with GpuSampler(3) as sampler:
        pass
    samples = sampler.samples
    assert samples is not None
    assert (samples.device, samples.num_overflows) == (3, 2)
    assert samples.start_ns.tolist() == [1001]
    assert {name: values.tolist() for name, values in samples.columns.items()} == {
        "occupancy_pct": [4],
        "sm_busy_pct": [5],
    }


def test_stop_without_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        GpuSampler(0).stop()
