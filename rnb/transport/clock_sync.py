"""What another machine's clock says in terms of this one's, worked out from exchanges over a connection.

An exchange is a question and its answer: sent here, read and answered there, received here. Whatever the two
ways took, the answer was given between the two times here, so each exchange bounds the difference of the
clocks by half its round trip on either side (D. L. Mills, Internet time synchronization, IEEE Trans. Commun.
39(10), 1991). Clocks drift by a constant rate, to within what temperature does to a crystal; so what is known
is the set of all straight lines that every exchange allows. The fit is the middle of that set, and its bound
half the width, which no exchange, however lopsided, makes too small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_DRIFT = 1e-3
"""Clocks of computers are within 1e-4 of the right rate; the kernel corrects by up to 5e-4 (adjtimex(2))."""
NUM_KEPT = 10
"""Of each burst of exchanges so many, the fastest ones, say all."""


class Exchange(NamedTuple):
    """Readings of two clocks, in ns."""

    sent_ns: int
    """Here."""
    there_ns: int
    received_ns: int
    """Here."""

    @property
    def round_trip_ns(self) -> int:
        return self.received_ns - self.sent_ns


@dataclass(frozen=True, kw_only=True)
class ClockFit:
    """A clock there: here = there + offset_ns + drift * (there - origin_ns)."""

    origin_ns: int
    """A reading there."""
    offset_ns: int
    drift: float
    bound_ns: int
    """No time between the first exchange and the last is further off, as long as the drift is constant."""
    round_trip_ns: int
    """The fastest."""
    num_exchanges: int

    def here(self, there_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times there as this machine's clock has them."""
        since = (there_ns - self.origin_ns).astype(np.float64)
        here: NDArray[np.int64] = there_ns + self.offset_ns + np.rint(self.drift * since).astype(np.int64)
        return here

    def there(self, here_ns: int) -> int:
        """A time here as the other machine's clock has it."""
        since = (here_ns - self.offset_ns - self.origin_ns) / (1 + self.drift)
        return self.origin_ns + round(since)

    def to_json(self) -> dict[str, Any]:
        return {
            "offset_ns": self.offset_ns,
            "drift_ppm": self.drift * 1e6,
            "bound_ns": self.bound_ns,
            "round_trip_ns": self.round_trip_ns,
            "num_exchanges": self.num_exchanges,
        }


def fastest(burst: Iterable[Exchange], most: int = NUM_KEPT) -> list[Exchange]:
    """Those of a burst that bound the difference best."""
    return sorted(burst, key=lambda one: one.round_trip_ns)[:most]


def first_fit(exchanges: Sequence[Exchange]) -> ClockFit:
    """The clock that answered as the fastest exchange alone has it: for the moment, and worked out at once.

    Raises ValueError without an exchange.
    """
    if not exchanges:
        raise ValueError("no exchange with the other clock")
    best = min(exchanges, key=lambda one: one.round_trip_ns)
    return ClockFit(
        origin_ns=best.there_ns,
        offset_ns=(best.sent_ns + best.received_ns) // 2 - best.there_ns,
        drift=0.0,
        bound_ns=best.round_trip_ns // 2 + 1,
        round_trip_ns=best.round_trip_ns,
        num_exchanges=len(exchanges),
    )


def fit(exchanges: Sequence[Exchange]) -> ClockFit:
    """The clock that answered. Raises ValueError without an exchange.

    Where no straight line is allowed by all exchanges, since the drift was not constant, each is taken to be
    as much wider as lets one line through, and the bound is as much wider, too.
    """
    if not exchanges:
        raise ValueError("no exchange with the other clock")
    sent, there, received = (np.array(column, np.int64) for column in zip(*exchanges, strict=True))
    origin, most = int(there[0]), int((sent - there)[0])
    # Differences of clocks may be of any size; what is left beside the first one is small enough for floats.
    since_s = (there - origin) / 1e9
    lowest_us, highest_us = (sent - there - most) / 1e3, (received - there - most) / 1e3
    slack_us = _slack(since_s, lowest_us, highest_us)
    first_s, last_s = float(since_s.min()), float(since_s.max())
    lines = _Lines(since_s, lowest_us - slack_us, highest_us + slack_us)
    (low, high), (low_last, high_last) = lines.range_at(first_s), lines.range_at(last_s)
    drift_us = ((low_last + high_last) - (low + high)) / 2 / (last_s - first_s) if last_s > first_s else 0.0
    at_origin_us = (low + high) / 2 - drift_us * first_s
    half_us = max(high - low, high_last - low_last) / 2
    # Beyond what an exchange allows by the slack at most, while the truth may be at its other end.
    beyond_us = slack_us and slack_us + float((highest_us - lowest_us).max())
    return ClockFit(
        origin_ns=origin,
        offset_ns=most + round(at_origin_us * 1e3),
        drift=drift_us / 1e6,
        bound_ns=round((half_us + beyond_us) * 1e3) + 1,
        round_trip_ns=int((received - sent).min()),
        num_exchanges=len(exchanges),
    )


class _Lines:
    """All straight lines, offset in us and drift in us/s, between lower and upper points."""

    def __init__(
        self, at_s: NDArray[np.float64], lowest: NDArray[np.float64], highest: NDArray[np.float64]
    ) -> None:
        rows = np.stack([np.ones_like(at_s), at_s], axis=1)
        self._rows, self._limits = np.concatenate([rows, -rows]), np.concatenate([highest, -lowest])

    def range_at(self, at_s: float) -> tuple[float, float]:
        """The lowest and the highest value of any of them at a time."""
        return self._least((1, at_s)), -self._least((-1, -at_s))

    def _least(self, costs: tuple[float, float]) -> float:
        return float(_solve(costs, self._rows, self._limits, [(None, None), _DRIFTS]).fun)


def _slack(at_s: NDArray[np.float64], lowest: NDArray[np.float64], highest: NDArray[np.float64]) -> float:
    """By how much the points must move apart for a line to fit between; 0 where one does."""
    lines = _Lines(at_s, lowest, highest)
    rows = np.concatenate([lines._rows, np.full((len(lines._rows), 1), -1.0)], axis=1)
    slack = float(_solve((0, 0, 1), rows, lines._limits, [(None, None), _DRIFTS, (0, None)]).x[2])
    return slack and slack + _ROUNDING_US


def _solve(costs: Sequence[float], rows: Any, limits: Any, bounds: Any) -> Any:
    from scipy.optimize import linprog  # takes long to import, and only the driver of several nodes needs it

    result = linprog(costs, A_ub=rows, b_ub=limits, bounds=bounds)
    assert result.success, result.message
    return result


_DRIFTS = (-MOST_DRIFT * 1e6, MOST_DRIFT * 1e6)
_ROUNDING_US = 1e-3
