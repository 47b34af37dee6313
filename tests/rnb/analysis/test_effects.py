"""Effects of a known size."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.effects import RunMeans, effects_between, paired_effects, run_means, unpaired_effects
from rnb.analysis.pairing import pair
from rnb.contract.events import DUE
from rnb.record.run import Run
from tests.support.simulated_runs import simulate


def run(*, rate_per_s: float = 180.0, delay_ms: float = 0.0, seed: int = 0) -> Run:
    """A run whose every request ends `delay_ms` later than simulated."""
    made = simulate(num_requests=3000, rate_per_s=rate_per_s, seed=seed, has_telemetry=False)
    made.times[made.events[-1]] = made.times[made.events[-1]] + round(delay_ms * 1e6)
    return made


def bulk(*, ms_per_request: float) -> Run:
    """All requests at once, served one after the other; each ninth takes ten times as long."""
    made = run()
    took_ns = np.where(np.arange(3000) % 9 == 0, 10, 1) * round(ms_per_request * 1e6)
    due_ns = np.full(3000, made.start_ns)
    made.times = {event: due_ns + np.cumsum(took_ns) for event in made.events} | {DUE: due_ns}
    made.requests["arrival_ns"] = np.zeros(3000, dtype=np.int64)
    made.meta.end_epoch_ns = int(made.ends_ns.max())
    return made


def test_paired_a_constant_delay_is_found_exactly() -> None:
    first, other = run(), run(delay_ms=0.25)
    found = paired_effects(first, other, pair(first, other))
    assert found.mean_ms.value == pytest.approx(0.25)
    assert found.median_ms.value == pytest.approx(0.25)
    assert found.mean_ms.margin == pytest.approx(0, abs=1e-6)
    assert found.latency.value == pytest.approx(0.25 / found.reference_mean_ms)
    assert found.reference_mean_ms == pytest.approx((first.ends_ns - first.times[DUE]).mean() / 1e6)


def test_unpaired_the_same_delay_drowns() -> None:
    found = unpaired_effects(run(), run(delay_ms=0.25, seed=1))
    assert found.mean_ms.margin
    assert found.mean_ms.margin > 1
    assert not found.mean_ms.excludes_zero


def test_throughput_of_bulk_runs() -> None:
    first, other = bulk(ms_per_request=2), bulk(ms_per_request=1.6)
    found = paired_effects(first, other, pair(first, other))
    assert found.throughput.value == pytest.approx(0.25)
    assert found.throughput.excludes_zero
    assert unpaired_effects(first, other).throughput.value == pytest.approx(0.25)


def test_repeated_runs_are_compared_by_their_means() -> None:
    def group(*means_ms: float) -> list[RunMeans]:
        return [RunMeans(throughput=1e3 / mean, mean_ms=mean, median_ms=mean - 1) for mean in means_ms]

    found = effects_between(group(10.0, 11.0, 12.0), group(14.0, 15.0, 16.0))
    assert found.mean_ms.value == pytest.approx(4.0)
    assert found.mean_ms.margin == pytest.approx(2.7764 * np.sqrt(2 / 3), rel=1e-3)  # 4 degrees of freedom
    assert found.median_ms.value == pytest.approx(4.0)
    assert found.throughput.value == pytest.approx(
        (1 / 14 + 1 / 15 + 1 / 16) / (1 / 10 + 1 / 11 + 1 / 12) - 1
    )
    assert effects_between(group(10.0), group(14.0, 15.0)).mean_ms.margin is None


def test_the_means_of_a_run() -> None:
    made = run()
    found = run_means(made)
    assert found
    assert found.throughput == pytest.approx(3000 / made.seconds)
    assert found.median_ms < found.mean_ms
    made.requests["status"][:] = "failed"
    assert run_means(made) is None
