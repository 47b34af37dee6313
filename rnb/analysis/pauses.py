"""Pauses: times for which nothing finished though requests were there, and calls that hung.

How long one may be by chance is told by the others: their tail is taken as exponential, from the largest of
two of its slopes (median to p90, p90 to p98), and a pause counts that has a chance of 0.1 % in the whole run.
The slopes do not see the pauses themselves, as long as those are less than 2 % of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.level_tests import Stretch
from rnb.analysis.queue_depth import in_system
from rnb.analysis.step_work import StepWork
from rnb.record.run import Run

CHANCE = 0.001
LEAST_FACTOR = 3.0
"""A pause is so many times as long as the median, however even the others are."""
SLOPES = ((0.5, 0.1), (0.1, 0.02))
"""Shares above the two values between which a slope is taken."""
LARGE_SHARE = 0.01
"""As a share of the time; from here on it is in the p99, and in the mean."""
LEAST_SHARE = 0.001
"""Smaller ones do not count: not even the p99.9 has them."""
MOST_BY_CHANCE = 0.01
"""As a share of the time: where chance may pause for longer, a large pause cannot be told from it."""
MIN_RECURRING, NUM_PARTS, MOST_IN_PART = 10, 10, 1 / 3
"""So many pauses, of which no tenth of the time has more than a third, are how the pipeline works."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """Those longer than chance, of the place where they take the largest share of the time."""

    step: int | None
    """Whose calls hung; None: nothing finished at all."""
    number: int
    share: float
    """How much longer they were than chance gives, of the time; of a step's calls, of that of its workers."""
    longest_s: float
    longest_at_s: float
    """When it began, in seconds from the start of the measured phase."""
    by_chance_s: float
    """How long one may be by chance."""
    is_recurring: bool
    """There are many of them, spread over the run: they belong to what is measured."""

    @property
    def is_large(self) -> bool:
        return self.share >= LARGE_SHARE and not self.is_recurring

    def __str__(self) -> str:
        what = "nothing finished" if self.step is None else f"a call of step {self.step} took"
        first = (
            f"{what} {'for ' if self.step is None else ''}{self.longest_s:.2g} s at {self.longest_at_s:.1f} s"
        )
        more = f", the longest of {self.number} pauses" if self.number > 1 else ""
        return f"{first}{more}: {self.share:.1%} of the time beyond the {self.by_chance_s:.2g} s of chance"


def find_pauses(run: Run, work: Sequence[StepWork], stretch: Stretch) -> Pauses | None:
    """The worst of a stretch; None where there are none that count."""
    origin_ns = run.window_ns[0]
    found = [_of_completions(run, stretch)]
    found += [
        _pauses(
            (one.start_ns - origin_ns) / 1e9,
            one.service_ms / 1e3,
            stretch,
            step=one.step,
            weights=1 / (one.batch * one.num_workers),
        )
        for one in work
    ]
    return max((one for one in found if one), key=lambda one: one.share, default=None)


def chance_of_completions_s(run: Run, stretch: Stretch) -> float:
    """How long nothing may finish by chance while requests are there."""
    return longest_by_chance(_between_completions(run, stretch)[1])


def longest_by_chance(values: Values) -> float:
    """Of positive values, what none of as many exceeds but by a chance of CHANCE; inf of fewer than 50."""
    if len(values) < 1 / SLOPES[-1][-1]:
        return math.inf
    most = LEAST_FACTOR * float(np.median(values))
    for share, less in SLOPES:
        low, high = np.quantile(values, [1 - share, 1 - less])
        slope = float(high - low) / math.log(share / less)
        most = max(most, float(high) + slope * math.log(less * len(values) / CHANCE))
    return most


def _of_completions(run: Run, stretch: Stretch) -> Pauses | None:
    starts_s, lengths_s = _between_completions(run, stretch)
    return _pauses(starts_s, lengths_s, stretch, step=None, weights=np.ones(len(starts_s)))


def _between_completions(run: Run, stretch: Stretch) -> tuple[Values, Values]:
    """Start and length of each time from one end of a request to the next for which one was there."""
    origin_ns = run.window_ns[0]
    ends_s = np.unique((run.ends_ns[run.ended_as("finished", "failed", "dropped")] - origin_ns) / 1e9)
    before_s = np.maximum(np.concatenate([[stretch[0]], ends_s[:-1]]), stretch[0])
    due_s = np.append(np.sort((run.due_ns - origin_ns) / 1e9), np.inf)
    is_empty = in_system(run).at(before_s) <= 0
    next_due_s = due_s[np.searchsorted(due_s, before_s, "right")]
    starts_s = np.where(is_empty, next_due_s, before_s)
    counts = (ends_s > starts_s) & (starts_s <= stretch[1])
    return starts_s[counts], (ends_s - starts_s)[counts]


def _pauses(
    starts_s: Values, lengths_s: Values, stretch: Stretch, *, step: int | None, weights: Values
) -> Pauses | None:
    """`weights`: how much of the time each second of them takes."""
    is_inside = (starts_s >= stretch[0]) & (starts_s <= stretch[1])
    starts_s, lengths_s, weights = starts_s[is_inside], lengths_s[is_inside], weights[is_inside]
    by_chance_s = longest_by_chance(lengths_s)
    is_long = lengths_s > by_chance_s
    if not is_long.any():
        return None
    starts_s, lengths_s, weights = starts_s[is_long], lengths_s[is_long], weights[is_long]
    lost_s = (lengths_s - by_chance_s) * weights
    share = float(lost_s.sum()) / (stretch[1] - stretch[0])
    if share < LEAST_SHARE:
        return None
    parts, _ = np.histogram(starts_s, NUM_PARTS, stretch, weights=lost_s)
    longest = int(np.argmax(lengths_s))
    return Pauses(
        step=step,
        number=len(starts_s),
        share=share,
        longest_s=float(lengths_s[longest]),
        longest_at_s=float(starts_s[longest]),
        by_chance_s=by_chance_s,
        is_recurring=len(starts_s) >= MIN_RECURRING and float(parts.max()) <= MOST_IN_PART * lost_s.sum(),
    )
