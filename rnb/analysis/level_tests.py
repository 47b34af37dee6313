"""Whether a series of equal spans keeps its level: two tests, of a trend and of a shift.

- *trend*: the slope of a line through the series, by least squares, against its standard error;
- *level shift*: the largest difference of the means before and after a point, over all points but those in
  the first and last 15 %, against its standard error. That a point was searched for is in the critical value
  (Andrews, *Tests for parameter instability and structural change with unknown change point*, Econometrica
  61(4), 1993; its level by the approximation of Estrella, *Critical values and p values of Bessel process
  distributions*, Econometric Theory 19(6), 2003).

Each is at the 0.2 % level, so that several series of a run together seldom raise a false alarm. Neighbouring
spans may depend on each other, so the variance is multiplied by (1 + r) / (1 - r), where r is the correlation
of each span with the next (Zwiers and von Storch, *Taking serial correlation into account in tests of the
mean*, Journal of Climate 8(2), 1995).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.student_t import student_t

NUM_SPANS = 40
TREND_CONFIDENCE = 0.998
"""0.2 %, two-sided."""
SHIFT_LIMIT = math.sqrt(15.7)
"""One parameter, 15 % trimmed, 0.2 %."""
TRIMMED_SHARE = 0.15
MOST_CORRELATION = 0.95
HIDDEN_ERRORS = 1.645
"""So many standard errors more than was seen, a change is in 5 % of the cases."""

Series = NDArray[np.float64]
Stretch = tuple[float, float]
"""Start and end, in seconds from the start of the measured phase."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One test on one series."""

    series: str
    kind: str
    """'trend' or 'level shift'."""
    change: float
    """From the start to the end, or from before to after the shift, as a share of the mean level."""
    at_s: float | None
    """Where the level shifts, in seconds from the start of the measured phase; None for a trend."""
    statistic: float
    limit: float
    at_most: float
    """How large the change may be, as a share, with 95 % confidence."""
    is_found: bool
    """The statistic is above its limit, and the change is large enough to matter."""

    def __str__(self) -> str:
        where = "" if self.at_s is None else f" at {self.at_s:.1f} s"
        return f"{self.series}: {self.kind} of {self.change:+.0%}{where}"


def find_changes(name: str, values: Series, stretch: Stretch, *, least: float) -> list[Change]:
    """Both tests on a series, (NUM_SPANS,), of equal spans of the stretch; smaller changes do not count.

    `least`: in the unit of the series.
    """
    return [_trend(name, values, least), _shift(name, values, stretch, least)]


def _trend(name: str, values: Series, least: float) -> Change:
    count = len(values)
    at = np.arange(count) - (count - 1) / 2
    slope = float(at @ values / (at @ at))
    error = math.sqrt(_variance(values - values.mean() - slope * at) / float(at @ at))
    change, error = slope * (count - 1), error * (count - 1)
    limit = student_t(NUM_SPANS - 2, TREND_CONFIDENCE)  # two parameters are fitted
    return _change(name, "trend", values, change, error, limit=limit, least=least, at_s=None)


def _shift(name: str, values: Series, stretch: Stretch, least: float) -> Change:
    count = len(values)
    trimmed = math.ceil(TRIMMED_SHARE * count)
    num_before = np.arange(trimmed, count - trimmed + 1)
    sums = np.cumsum(values)
    before = sums[num_before - 1] / num_before
    after = (sums[-1] - sums[num_before - 1]) / (count - num_before)
    weight = np.sqrt(num_before * (count - num_before) / count)
    best = int(np.argmax(np.abs(after - before) * weight))
    split = int(num_before[best])
    residuals = values - np.where(np.arange(count) < split, before[best], after[best])
    error = math.sqrt(_variance(residuals)) / float(weight[best])
    at_s = stretch[0] + (stretch[1] - stretch[0]) * split / count
    change = float(after[best] - before[best])
    return _change(name, "level shift", values, change, error, limit=SHIFT_LIMIT, least=least, at_s=at_s)


def _change(
    name: str,
    kind: str,
    values: Series,
    change: float,
    error: float,
    *,
    limit: float,
    least: float,
    at_s: float | None,
) -> Change:
    mean = float(values.mean())
    statistic = _ratio(change, error)
    return Change(
        series=name,
        kind=kind,
        change=change / mean if mean else 0.0,
        at_s=at_s,
        statistic=statistic,
        limit=limit,
        at_most=(abs(change) + HIDDEN_ERRORS * error) / mean if mean else 0.0,
        is_found=statistic > limit and abs(change) > least,
    )


def _variance(residuals: Series) -> float:
    """Of one span, as if the spans did not depend on each other; two parameters were fitted."""
    total = float(residuals @ residuals)
    correlation = float(residuals[1:] @ residuals[:-1]) / total if total else 0.0
    correlation = min(max(correlation, 0.0), MOST_CORRELATION)
    return total / (len(residuals) - 2) * (1 + correlation) / (1 - correlation)


def _ratio(value: float, error: float) -> float:
    # A series without any noise: whatever changes is certain. JSON knows no infinity.
    return abs(value) / error if error else (1e9 if value else 0.0)
