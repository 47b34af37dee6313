"""A series that keeps its level does, and one that changes does not."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.level_tests import NUM_SPANS, Change, find_changes


@pytest.mark.parametrize(("change", "is_found"), [(0.03, False), (0.3, True)])
def test_a_certain_but_small_change_does_not_count(change: float, is_found: bool) -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, NUM_SPANS)
    values = 100 * (1 + noise + change * np.linspace(0, 1, NUM_SPANS))
    trend = find_changes("rate", values, (0, 1), least=5)[0]
    assert trend.statistic > trend.limit
    assert trend.change == pytest.approx(change, rel=0.2)
    assert trend.is_found is is_found


def test_false_alarms_are_rare_also_when_spans_depend_on_each_other() -> None:
    random = np.random.default_rng(5)

    def false_alarms(correlation: float) -> float:
        noise = random.normal(0, 1, (500, NUM_SPANS + 50))
        values = np.empty_like(noise)
        values[:, 0] = noise[:, 0]
        for at in range(1, noise.shape[1]):
            values[:, at] = correlation * values[:, at - 1] + noise[:, at]
        found = [find_changes("rate", 2 + row, (0, 1), least=0.1) for row in values[:, 50:]]
        return float(np.mean([any(change.is_found for change in changes) for changes in found]))

    assert false_alarms(0.0) < 0.015  # two tests at 0.2 %
    assert false_alarms(0.3) < 0.04


def test_what_may_hide_holds_the_true_change() -> None:
    random = np.random.default_rng(6)
    levels = np.where(np.arange(NUM_SPANS) < NUM_SPANS / 2, 1.0, 1.3)
    shifts = [
        find_changes("service", levels + random.normal(0, 0.35, NUM_SPANS), (0, 1), least=0.1)[1]
        for _ in range(500)
    ]
    assert np.mean([shift.at_most >= 0.25 for shift in shifts]) >= 0.95


def test_a_series_without_any_noise() -> None:
    same = find_changes("rate", np.full(NUM_SPANS, 5.0), (0, 1), least=0)
    assert [(change.change, change.statistic, change.is_found) for change in same] == [(0, 0, False)] * 2
    rising = find_changes("rate", np.linspace(1, 2, NUM_SPANS), (0, 1), least=0)
    assert rising[0].is_found


def test_a_change_as_text() -> None:
    change = Change(
        series="throughput",
        kind="level shift",
        change=-0.234,
        at_s=12.04,
        statistic=9,
        limit=3,
        at_most=0.3,
        is_found=True,
    )
    assert str(change) == "throughput: level shift of -23% at 12.0 s"
