"""The search for the most of what comes in whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rnb.campaigns.peak_search import FAILS, MAX_HALVINGS, PASSES, RESOLUTION, UNDECIDED, ProbeResult
from rnb.campaigns.whole_search import WholeSearch

SHARE, STEP_PER_S = 0.01, 12.5


@dataclass
class Most:
    """Answers probes: up to `most` all are within the bound. `shares` says otherwise, of a number's first
    probe, its second, …, which decide nothing."""

    most: float
    shares: dict[int, list[float]] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def __call__(self, rate_per_s: float, is_short: bool) -> ProbeResult:
        assert not is_short
        number = round(rate_per_s / STEP_PER_S)
        assert number * STEP_PER_S == rate_per_s
        self.asked.append(number)
        share, verdict = (0.0, PASSES) if number <= self.most else (0.5, FAILS)
        if number in self.shares:
            share, verdict = self.shares[number][self.asked.count(number) - 1], UNDECIDED
        return ProbeResult(
            asked_per_s=rate_per_s,
            rate_per_s=rate_per_s * 1.003,
            verdict=verdict,
            outcome=verdict,
            num_requests=1000,
            num_over=round(1000 * share),
        )


def searched(probe: Callable[[float, bool], ProbeResult], start: int) -> tuple[float | None, float | None]:
    """The numbers it ends between."""
    search = WholeSearch(probe, share=SHARE, step_per_s=STEP_PER_S)
    search.run(start * STEP_PER_S)
    peak = search.peak()
    assert peak.best_per_s is None
    return peak.low_per_s and peak.low_per_s / STEP_PER_S, peak.high_per_s and peak.high_per_s / STEP_PER_S


@pytest.mark.parametrize("most", range(1, 18))
@pytest.mark.parametrize("start", [1, 2, 8, 16])
def test_it_ends_at_two_next_to_each_other_and_plays_none_twice(most: int, start: int) -> None:
    probe = Most(most)
    assert searched(probe, start) == (most, most + 1)
    assert len(probe.asked) == len(set(probe.asked)) <= 10


def test_it_doubles_then_bisects() -> None:
    probe = Most(11)
    searched(probe, 2)
    assert probe.asked == [2, 4, 8, 16, 11, 13, 12]


def test_of_many_it_ends_as_near_as_any_search() -> None:
    probe = Most(150)
    low, high = searched(probe, 8)
    assert low
    assert high
    assert low <= 150 < high
    assert 1 < high - low <= 2.2 * RESOLUTION * low
    assert len(probe.asked) <= 10


@pytest.mark.parametrize(
    ("shares", "found"), [([0.0, 0.0], (5, 6)), ([0.006, 0.012], (5, 6)), ([0.005, 0.02], (4, 5))]
)
def test_an_undecided_one_is_played_once_more_and_both_decide(
    shares: list[float], found: tuple[int, int]
) -> None:
    probe = Most(5, {5: shares})
    assert searched(probe, 4) == found
    assert probe.asked.count(5) == 2
    assert len(probe.asked) - 1 == len(set(probe.asked))


def test_one_that_is_not_at_the_limit_is_not_played_again() -> None:
    probe = Most(5, {4: [0.0], 8: [0.02]})
    assert searched(probe, 4) == (5, 6)
    assert probe.asked == [4, 8, 6, 5]


def test_one_that_turns_out_to_keep_it_is_the_lower_one() -> None:
    probe = Most(9, {8: [0.02, 0.0], 7: [0.0, 0.0]})
    assert searched(probe, 4) == (9, 10)
    assert probe.asked.count(8) == 2


def test_a_bound_that_no_number_keeps() -> None:
    probe = Most(0)
    assert searched(probe, 4) == (None, 1)
    assert probe.asked == [4, 2, 1]
    probe = Most(0)
    assert searched(probe, 64) == (None, 64 >> MAX_HALVINGS)


def test_what_is_known_when_a_probe_ends_the_search() -> None:
    answer = Most(20, {8: [0.0]})

    def probe(rate_per_s: float, is_short: bool) -> ProbeResult:
        if len(answer.asked) == 2:
            raise KeyboardInterrupt
        return answer(rate_per_s, is_short)

    search = WholeSearch(probe, share=SHARE, step_per_s=STEP_PER_S)
    with pytest.raises(KeyboardInterrupt):
        search.run(4 * STEP_PER_S)
    assert search.peak().low_per_s == 4 * STEP_PER_S, "8 was undecided"
