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
    assert found.mean_ms == pytest.approx(0.25)
    assert found.median_ms.value == pytest.approx(0.25)
    reference_ms = (first.ends_ns - first.times[DUE]).mean() / 1e6
    assert found.latency.value == pytest.approx(1 + 0.25 / reference_ms)
    assert found.latency.interval
    low, high = found.latency.interval
    assert high - low < 0.01


def test_unpaired_the_same_delay_drowns() -> None:
    found = unpaired_effects(run(), run(delay_ms=0.25, seed=1))
    assert found.latency.interval
    assert found.latency.interval[1] - found.latency.interval[0] > 0.1
    assert not found.latency.excludes_one


def test_throughput_of_bulk_runs() -> None:
    first, other = bulk(ms_per_request=2), bulk(ms_per_request=1.6)
    found = paired_effects(first, other, pair(first, other))
    assert found.throughput.value == pytest.approx(1.25)
    assert found.throughput.excludes_one
    assert unpaired_effects(first, other).throughput.value == pytest.approx(1.25)


def test_repeated_runs_are_compared_by_their_geometric_means() -> None:
    def group(first_ns: int, *means_ms: float) -> list[RunMeans]:
        return [
            RunMeans(began_ns=first_ns + 2 * number, throughput=1e3 / mean, mean_ms=mean, median_ms=mean - 1)
            for number, mean in enumerate(means_ms)
        ]

    found = effects_between(group(0, 10.0, 11.0, 10.0, 11.0), group(1, 20.0, 22.0, 20.0, 22.0))
    assert found.latency.value == pytest.approx(2.0, rel=1e-2)
    assert found.throughput.value == pytest.approx(0.5, rel=1e-2)
    assert found.mean_ms == pytest.approx(10.5)
    assert found.median_ms.value == pytest.approx(10.5, rel=0.05)
    assert found.latency.log.degrees == 5
    assert found.latency.excludes_one
    assert effects_between(group(0, 10.0), group(1, 14.0, 15.0)).latency.interval is None


def test_the_means_of_a_run() -> None:
    made = run()
    found = run_means(made)
    assert found
    assert found.throughput == pytest.approx(3000 / made.seconds)
    assert found.median_ms < found.mean_ms
    made.requests["status"][:] = "failed"
    assert run_means(made) is None
