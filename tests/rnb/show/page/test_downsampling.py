"""A line of few points that shows what the one of many shows."""

from __future__ import annotations

import itertools

import numpy as np

from rnb.show.page.downsampling import average, thin_out


def test_a_short_line_stays_as_it_is() -> None:
    x = np.arange(10.0)
    assert thin_out(x, x, 10)[0] is x


def test_no_peak_is_lost() -> None:
    x = np.arange(100_000.0)
    y = np.sin(x / 5000)
    y[[12_345, 67_890]] = 50, -40
    few_x, few_y = thin_out(x, y, 400)
    assert len(few_x) <= 400
    assert few_y.max() == 50
    assert few_x[few_y.argmax()] == 12_345
    assert few_y.min() == -40
    assert (few_x[0], few_x[-1]) == (0, 99_999)
    assert (np.diff(few_x) > 0).all()


def test_every_interval_keeps_its_range() -> None:
    random = np.random.default_rng(0)
    x, y = np.sort(random.random(20_000)), random.random(20_000)
    few_x, few_y = thin_out(x, y, 80)
    edges = np.linspace(x[0], x[-1], 21)
    for low, high in itertools.pairwise(edges.tolist()):
        inside, kept = (x >= low) & (x < high), (few_x >= low) & (few_x < high)
        assert (y[inside].min(), y[inside].max()) == (few_y[kept].min(), few_y[kept].max())


def test_gaps_stay() -> None:
    y = np.ones(1000)
    y[300:600] = np.nan
    few_y = thin_out(np.arange(1000.0), y, 40)[1]
    assert np.isnan(few_y).any()
    assert np.isfinite(few_y).sum() == 2 * 7


def test_means_of_equal_spans() -> None:
    x = np.array([-1.0, 0.0, 0.5, 1.0, 3.5, 4.0])
    y = np.array([100.0, 1.0, 3.0, np.nan, 7.0, 100.0])
    middles, means = average(x, y, 4.0, 4)
    assert middles.tolist() == [0.5, 3.5]
    assert means.tolist() == [2.0, 7.0]
