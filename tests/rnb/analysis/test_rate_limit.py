"""Where a share of the requests misses the bound: the fit, and how often its range holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnb.analysis.rate_limit import ABOVE, BELOW, LEAST_MARGIN, MIN_RUNS, Counted, find_limit

SHARE, SLOPE, TRUE_PER_S = 0.01, 12.0, 120.0


def runs(count: int, *, group: int = 5, seed: int = 0, slope: float = SLOPE) -> list[Counted]:
    """The number over the bound rises with the rate to the power of the slope; it comes in groups."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        rate_per_s = TRUE_PER_S * math.exp(0.08 if number % 2 else -0.08)
        expected = 2000 * SHARE * (rate_per_s / TRUE_PER_S) ** slope
        num_over = group * int(random.poisson(expected / group))
        made.append(Counted(rate_per_s=rate_per_s, num_requests=2000, num_over=num_over))
    return made


def test_counts_without_noise_give_the_limit_itself() -> None:
    rates = [110.0, 115.0, 118.0, 121.0, 125.0, 130.0]
    exact = [
        Counted(rate_per_s=rate, num_requests=10**8, num_over=round(1e6 * (rate / TRUE_PER_S) ** SLOPE))
        for rate in rates
    ]
    found = find_limit(exact, SHARE, around_per_s=115, reach=0.3)
    assert found
    assert found.best_per_s == pytest.approx(TRUE_PER_S, rel=1e-5)
    assert found.slope == pytest.approx(SLOPE, rel=1e-4)
    assert found.margin == pytest.approx(LEAST_MARGIN * (BELOW + ABOVE) / 2)


@pytest.mark.parametrize("group", [1, 5, 20])
@pytest.mark.parametrize("count", [8, 20])
def test_the_range_holds_the_truth(group: int, count: int) -> None:
    found = [
        find_limit(runs(count, group=group, seed=seed), SHARE, around_per_s=120, reach=0.3)
        for seed in range(200)
    ]
    known = [one for one in found if one]
    assert len(known) >= 150
    held = [one.low_per_s <= TRUE_PER_S <= one.high_per_s for one in known]
    assert np.mean(held) >= 0.95


def test_more_runs_narrow_it() -> None:
    few, many = (find_limit(runs(count), SHARE, around_per_s=120, reach=0.3) for count in (8, 60))
    assert few
    assert many
    assert many.margin < 0.6 * few.margin


def test_far_runs_do_not_count() -> None:
    far = [Counted(rate_per_s=30.0, num_requests=2000, num_over=150)] * 4
    assert find_limit([*runs(12), *far], SHARE, around_per_s=120, reach=0.3) == find_limit(
        runs(12), SHARE, around_per_s=120, reach=0.3
    )


def test_what_tells_no_limit() -> None:
    assert find_limit(runs(MIN_RUNS - 1), SHARE, around_per_s=120, reach=0.3) is None
    assert find_limit(runs(20, slope=-12.0), SHARE, around_per_s=120, reach=0.3) is None
    none = [Counted(rate_per_s=rate, num_requests=2000, num_over=0) for rate in range(100, 110)]
    assert find_limit(none, SHARE, around_per_s=105, reach=0.3) is None
