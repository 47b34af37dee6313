"""The truth about a clock with an offset and a drift comes back within the bound, whatever the noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.transport.clock_sync import ClockFit, Exchange, fastest, first_fit, fit

SECOND = 1_000_000_000


class FalseClock:
    """A clock of another machine, reached by two ways whose times are drawn."""

    def __init__(self, *, offset_ns: int, drift: float, seed: int = 0, lopsided: float = 1.0) -> None:
        self._offset_ns, self._drift, self._lopsided = offset_ns, drift, lopsided
        self._random = np.random.default_rng(seed)

    def there(self, here_ns: int) -> int:
        return here_ns + self._offset_ns + round(self._drift * here_ns)

    def burst(self, here_ns: int, count: int = 40) -> list[Exchange]:
        exchanges = []
        for _ in range(count):
            out, back = 15_000 + self._random.exponential(40_000, 2)
            answered = here_ns + round(out * self._lopsided)
            received = answered + round(back)
            exchanges.append(Exchange(here_ns, self.there(answered), received))
            here_ns = received + 1000
        return exchanges

    def errors(self, fitted: ClockFit, times_ns: NDArray[np.int64]) -> list[int]:
        there = np.array([self.there(int(time)) for time in times_ns], np.int64)
        return [int(error) for error in np.abs(fitted.here(there) - times_ns)]


CLOCKS = [(0, 0.0), (5 * SECOND, 3e-5), (-(10**17), -8e-5), (10**15, 4e-4), (-17, -4e-4)]


@pytest.mark.parametrize(("offset_ns", "drift"), CLOCKS)
@pytest.mark.parametrize("lopsided", [1.0, 8.0], ids=["even ways", "one way eight times as long"])
@pytest.mark.parametrize("seed", range(3))
def test_the_truth_comes_back_within_the_bound(
    offset_ns: int, drift: float, lopsided: float, seed: int
) -> None:
    clock = FalseClock(offset_ns=offset_ns, drift=drift, seed=seed, lopsided=lopsided)
    start, end = 7 * SECOND, 67 * SECOND
    bursts = [fastest(clock.burst(at)) for at in range(start, end + 1, 10 * SECOND)]
    fitted = fit([one for burst in bursts for one in burst])

    assert max(clock.errors(fitted, np.linspace(start, end, 500).astype(np.int64))) <= fitted.bound_ns
    assert fitted.bound_ns <= max(burst[0].round_trip_ns for burst in (bursts[0], bursts[-1])) / 2 + 100
    assert abs(fitted.drift + drift) < 1e-5
    assert fitted.num_exchanges == 70


def test_a_time_here_is_told_as_the_other_clock_has_it() -> None:
    clock = FalseClock(offset_ns=3 * SECOND, drift=5e-5)
    fitted = fit([*fastest(clock.burst(SECOND)), *fastest(clock.burst(30 * SECOND))])
    assert abs(fitted.there(20 * SECOND) - clock.there(20 * SECOND)) <= fitted.bound_ns + 1000
    assert abs(int(fitted.here(np.array([fitted.there(20 * SECOND)]))[0]) - 20 * SECOND) <= 1


@pytest.mark.parametrize(("offset_ns", "drift"), CLOCKS)
def test_the_fastest_exchange_alone_is_good_for_a_moment(offset_ns: int, drift: float) -> None:
    clock = FalseClock(offset_ns=offset_ns, drift=drift)
    burst = clock.burst(7 * SECOND)
    fitted = first_fit(burst)
    now = np.array([one.sent_ns for one in burst], np.int64)
    assert max(clock.errors(fitted, now)) <= fitted.bound_ns + 2_000
    assert fitted.bound_ns == fastest(burst, 1)[0].round_trip_ns // 2 + 1
    assert (
        abs(fitted.there(8 * SECOND) - clock.there(8 * SECOND))
        < fitted.bound_ns + SECOND * abs(drift) + 2_000
    )
    with pytest.raises(ValueError, match="no exchange"):
        first_fit([])


def test_one_burst_gives_an_offset() -> None:
    clock = FalseClock(offset_ns=-9 * SECOND, drift=0.0)
    fitted = fit(fastest(clock.burst(SECOND)))
    assert clock.errors(fitted, np.array([SECOND]))[0] <= fitted.bound_ns


def test_a_drift_that_changes_makes_the_bound_wider() -> None:
    """By 1 us/s halfway through a minute: no straight line, so 15 us and more have to be in the bound."""
    before, after = FalseClock(offset_ns=0, drift=0.0), FalseClock(offset_ns=-3_000_000, drift=1e-4)
    times = range(0, 60 * SECOND + 1, 10 * SECOND)
    clocks = [before if at <= 30 * SECOND else after for at in times]
    exchanges = [
        Exchange(at, clock.there(at + 10_000), at + 20_000) for clock, at in zip(clocks, times, strict=True)
    ]
    fitted = fit(exchanges)
    there = np.array([clock.there(at) for clock, at in zip(clocks, times, strict=True)])
    assert np.abs(fitted.here(there) - np.array(times)).max() <= fitted.bound_ns
    assert fitted.bound_ns > 500_000


def test_without_an_exchange_nothing_is_known() -> None:
    with pytest.raises(ValueError, match="no exchange"):
        fit([])
