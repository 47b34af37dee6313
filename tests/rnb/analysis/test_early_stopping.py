"""LoadGen's early-stopping test: against its table, and against sums of exact fractions."""

from __future__ import annotations

import time
from fractions import Fraction
from math import comb

import pytest

from rnb.analysis.early_stopping import judge_bound, min_requests


def exact_cdf(count: int, num_trials: int, chance: Fraction) -> Fraction:
    return sum(
        (comb(num_trials, k) * chance**k * (1 - chance) ** (num_trials - k) for k in range(count + 1)),
        start=Fraction(0),
    )


@pytest.mark.parametrize(
    ("percentile", "num_over", "expected"),
    [
        (90, 0, 44),
        (95, 0, 90),
        (99, 0, 459),
        (99.9, 0, 4603),
        (90, 1, 64),
        (95, 1, 130),
        (99, 1, 662),
        (99.9, 1, 6636),
        (90, 2, 81),
        (99, 2, 838),
        (99, 3, 1001),
        (99, 10, 2010),
        (90, 100, 1246),
        (99, 100, 12571),
    ],
)
def test_the_table_of_minimum_counts(percentile: float, num_over: int, expected: int) -> None:
    assert min_requests(num_over, percentile) == expected


@pytest.mark.parametrize(("percentile", "num_over"), [(50, 0), (50, 7), (90, 1), (95, 4), (99, 1), (99, 3)])
def test_the_minimum_is_the_first_count_of_at_most_one_percent(percentile: int, num_over: int) -> None:
    found, chance = min_requests(num_over, percentile), Fraction(100 - percentile, 100)
    assert exact_cdf(num_over, found, chance) <= Fraction(1, 100) < exact_cdf(num_over, found - 1, chance)


def test_a_bound_that_is_met() -> None:
    bound = judge_bound(num_requests=662, num_effective=662, num_over=1, percentile=99, bound_ms=100)
    assert (bound.is_met, bound.num_missing, bound.is_exceeded) == (True, 0, False)


def test_a_bound_that_needs_more_requests() -> None:
    bound = judge_bound(num_requests=700, num_effective=700, num_over=2, percentile=99, bound_ms=100)
    assert (bound.is_met, bound.num_missing, bound.is_exceeded) == (False, 138, False)


def test_a_bound_that_is_exceeded() -> None:
    bound = judge_bound(num_requests=1000, num_effective=1000, num_over=11, percentile=99, bound_ms=100)
    assert (bound.is_met, bound.is_exceeded) == (False, True)
    assert bound.num_missing == min_requests(11, 99) - 1000


def test_requests_that_depend_on_each_other_are_worth_as_many_as_do_not() -> None:
    """1 of 662 shows the p99; where three are worth one, it takes three times as many."""
    bound = judge_bound(num_requests=1986, num_effective=662, num_over=3, percentile=99, bound_ms=100)
    assert (bound.is_met, bound.num_needed) == (True, 1986)
    fewer = judge_bound(num_requests=1985, num_effective=1985 / 3, num_over=3, percentile=99, bound_ms=100)
    assert (fewer.is_met, fewer.num_missing) == (False, 1)


def test_where_it_is_not_known_what_requests_are_worth_nothing_is_shown() -> None:
    bound = judge_bound(num_requests=9999, num_effective=0, num_over=0, percentile=99, bound_ms=100)
    assert (bound.is_met, bound.num_needed, bound.num_missing) == (False, None, None)


def test_a_million_requests_are_judged_at_once() -> None:
    started = time.perf_counter()
    for num_over in (0, 9_000, 10_000, 500_000, 1_000_000):
        judge_bound(
            num_requests=1_000_000, num_effective=1_000_000, num_over=num_over, percentile=99, bound_ms=100
        )
    assert time.perf_counter() - started < 2
