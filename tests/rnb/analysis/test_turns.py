"""The difference of repeated runs, on machines whose speed changes from run to run and for longer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.turns import Timed, are_in_turn, difference

IN_TURN, IN_BLOCKS = [0, 1] * 5, [0] * 5 + [1] * 5


def sides(values: NDArray[np.float64], order: list[int]) -> tuple[list[Timed], list[Timed]]:
    runs = [Timed(began_ns=number, value=float(value)) for number, value in enumerate(values)]
    return [run for run, side in zip(runs, order, strict=True) if not side], [
        run for run, side in zip(runs, order, strict=True) if side
    ]


def share_told_apart(noise: str, order: list[int], effect: float = 0.0, num_pairs: int = 400) -> float:
    """Of pairs of groups of five runs."""
    random, told = np.random.default_rng(1), 0
    for _ in range(num_pairs):
        values = 0.02 * random.normal(size=10) + effect * np.array(order)
        if noise == "walk":
            values += 0.02 * np.cumsum(random.normal(size=10))
        if noise == "drift":
            values += 0.03 * np.arange(10)
        told += difference(*sides(values, order)).excludes_zero
    return told / num_pairs


@pytest.mark.parametrize("order", [IN_TURN, IN_BLOCKS])
@pytest.mark.parametrize("noise", ["independent", "walk", "drift"])
def test_equal_runs_are_seldom_told_apart(noise: str, order: list[int]) -> None:
    """In blocks, by the two groups' means alone, a drift tells all pairs apart, and a walk 30 %."""
    assert share_told_apart(noise, order) <= 0.07


def test_runs_that_differ_are_told_apart() -> None:
    assert share_told_apart("independent", IN_TURN, effect=0.05) >= 0.85
    assert share_told_apart("drift", IN_TURN, effect=0.05) >= 0.85
    assert share_told_apart("independent", IN_BLOCKS, effect=0.2) >= 0.95


def test_a_steady_drift_is_taken_out() -> None:
    found = difference(*sides(0.3 * np.arange(10.0) + 0.5 * np.array(IN_TURN), IN_TURN))
    assert found.value == pytest.approx(0.5)
    assert found.margin == pytest.approx(0, abs=1e-9)
    assert found.degrees == 7


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (IN_TURN, True),
        ([0, 1, 1, 0, 0, 1, 1, 0], True),
        ([0, 0, 1, 1, 0, 0, 1, 1], True),
        (IN_BLOCKS, False),
        ([0, 0, 1, 1], False),
        ([0, 1], False),
    ],
)
def test_what_is_in_turn(order: list[int], expected: bool) -> None:
    assert are_in_turn(*sides(np.zeros(len(order)), order)) is expected


def test_one_run_on_a_side_says_nothing_of_the_spread() -> None:
    reference, other = sides(np.array([1.0, 2.0, 3.0]), [0, 1, 1])
    found = difference(reference, other)
    assert (found.value, found.error) == (1.5, None)
