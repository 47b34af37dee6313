"""A step function against counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnb.analysis.population import Population

CAME = np.array([1.0, 2.0, 2.0, 6.0])
LEFT = np.array([4.0, 3.0, math.inf, 7.0])


def test_how_many_there_are_right_after_a_time() -> None:
    times = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 99.0])
    assert Population(CAME, LEFT).at(times).tolist() == [0, 1, 1, 3, 2, 1, 1, 2, 1, 1]


def test_the_mean_over_time() -> None:
    means = Population(CAME, LEFT).means(np.array([0.0, 2.0, 4.0, 8.0]))
    assert means.tolist() == pytest.approx([1 / 2, (3 + 2) / 2, (2 * 1 + 1 * 2 + 1 * 1) / 4])


def test_the_mean_is_exact_far_from_the_origin() -> None:
    edges = np.array([0.0, 10.0])
    far = Population(CAME + 1e6, LEFT + 1e6).means(edges + 1e6)
    assert far[0] == pytest.approx(Population(CAME, LEFT).means(edges)[0], rel=1e-6)


@pytest.mark.parametrize(
    ("span", "most"), [((0, 9), 3), ((2.5, 9), 3), ((3, 5.5), 2), ((4, 5.5), 1), ((0, 0.5), 0)]
)
def test_the_most_at_once(span: tuple[float, float], most: int) -> None:
    assert Population(CAME, LEFT).max(*span) == most


def test_it_agrees_with_counting_one_by_one() -> None:
    random = np.random.default_rng(0)
    came = random.uniform(0, 10, 500)
    left = came + random.exponential(1, 500)
    population = Population(came, left)
    times = random.uniform(0, 12, 50)
    expected = [int(np.count_nonzero((came <= time) & (left > time))) for time in times]
    assert population.at(times).tolist() == expected
    inside = np.minimum(left, 9) - np.minimum(np.maximum(came, 2), 9)
    assert population.means(np.array([2.0, 9.0]))[0] == pytest.approx(inside.clip(0).sum() / 7)


def test_nobody() -> None:
    nobody = Population(np.zeros(0), np.zeros(0))
    assert nobody.at(np.array([1.0])).tolist() == [0]
    assert nobody.means(np.array([0.0, 1.0])).tolist() == [0]
    assert nobody.max(0, 1) == 0
