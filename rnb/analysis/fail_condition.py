"""Conditions on which a comparison fails, for continuous integration: --fail-if p99:+5%."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rnb.analysis.comparison import Group, letter
from rnb.analysis.effects import ratio_between
from rnb.analysis.figures import FIGURES
from rnb.analysis.ratio import Ratio
from rnb.analysis.statistics import MIN_COUNTS
from rnb.analysis.turns import Timed

LATENCIES = ("mean", "p50", "p90", "p95", "p99", "p99.9")
RATES = ("throughput", "goodput")
_CONDITION = re.compile(r"(?P<figure>[\w.]+):(?P<percent>[+-]\d+(\.\d+)?)%")


class Unavailable(Exception):
    """A figure that a condition needs cannot be had: one line for the user."""


@dataclass(frozen=True, kw_only=True)
class FailCondition:
    """A figure, and the change against the reference from which on it is a failure."""

    figure: str
    limit: float
    """As a share: +0.05 fires above a rise of 5 %, -0.05 below a fall of 5 %."""

    def fires(self, change: Ratio) -> bool:
        """Whether all of the ratio's interval is beyond the limit."""
        low, high = change.interval or (0.0, math.inf)
        return low > 1 + self.limit if self.figure in LATENCIES else high < 1 + self.limit

    def holds(self, change: Ratio) -> bool:
        """Whether none of it is."""
        low, high = change.interval or (0.0, math.inf)
        return high <= 1 + self.limit if self.figure in LATENCIES else low >= 1 + self.limit

    def __str__(self) -> str:
        return f"{self.figure}:{'+' if self.figure in LATENCIES else '-'}{abs(self.limit) * 100:g}%"


def parse_fail_condition(text: str) -> FailCondition:
    """The condition of 'p99:+5%' or 'throughput:-5%'. Raises ValueError with the rule."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text}: must be FIGURE:+PERCENT% or FIGURE:-PERCENT%, as p99:+5%")
    figure, limit = match["figure"], float(match["percent"]) / 100
    if figure not in LATENCIES + RATES:
        raise ValueError(f"{text}: no figure '{figure}'; there are {', '.join(LATENCIES + RATES)}")
    if (match["percent"][0] == "+") != (figure in LATENCIES):
        # It would fire on an improvement, and never on what its author feared.
        sign = "rises: +" if figure in LATENCIES else "falls: -"
        raise ValueError(f"{text}: {figure} is worse when it {sign}PERCENT%")
    return FailCondition(figure=figure, limit=limit)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    condition: FailCondition
    group: int
    change: Ratio

    @property
    def fires(self) -> bool:
        return self.condition.fires(self.change)

    def __str__(self) -> str:
        outcome = "FAILS" if self.fires else "undecided; more repeats narrow the interval"
        if self.condition.holds(self.change):
            outcome = "holds"
        return f"--fail-if {self.condition}: {letter(self.group)} {self.change}: {outcome}"


def judge(groups: Sequence[Group], conditions: Sequence[FailCondition]) -> list[Judgement]:
    """Each condition for each group but the first, the reference. Raises Unavailable."""
    if conditions and len(groups) < 2:
        raise Unavailable(f"--fail-if {conditions[0]}: there is nothing to compare with: all is one group")
    return [
        Judgement(condition=condition, group=index, change=_change(condition, groups, index))
        for condition in conditions
        for index in range(1, len(groups))
    ]


def _change(condition: FailCondition, groups: Sequence[Group], index: int) -> Ratio:
    sides = {f"--fail-if {condition}: {letter(at)}": groups[at] for at in (0, index)}
    for name, group in sides.items():
        if group.failure:
            raise Unavailable(f"{name} is a failed run: {group.failure}")
        if group.reservation:
            raise Unavailable(f"{name} is {group.reservation}; what it shows is no ground to pass")
    values = [_values(condition, group, name) for name, group in sides.items()]
    for name, group in sides.items():
        if not group.is_repeated:
            raise Unavailable(
                f"{name} is a single run, so there is no interval: repeat both sides (--repeat 5)"
            )
    return ratio_between(*values)


def _values(condition: FailCondition, group: Group, name: str) -> list[Timed]:
    values = group.timed(FIGURES[condition.figure])
    if not values or any(one.value <= 0 for one in values):
        raise Unavailable(f"{name} has no {condition.figure}: {_needs(condition.figure)}")
    return values


def _needs(figure: str) -> str:
    floors = {f"p{percentile}": count for percentile, count in MIN_COUNTS.items()}
    if figure in floors:
        return f"it takes at least {floors[figure]} finished requests in each run"
    return "it takes a run with --slo" if figure == "goodput" else "nothing finished"
