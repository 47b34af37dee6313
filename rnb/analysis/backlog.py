"""Whether the pipeline keeps up with what arrives: finished against arrived, over the whole stretch.

Were the load just 1, chance alone would make the backlog of n requests grow to |N(0, c² n)|, with the
variation c² of gaps and services that was seen (rnb/analysis/slack.py). So it grew when it is larger than
chance gives at a load of 1 in 1 %; and it does not when so much capacity stood idle as chance leaves at a
load of 1 in 5 %: that is |N(0, c² / n)|, too. Between the two it cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnb.analysis.level_tests import Stretch
from rnb.analysis.queue_depth import in_system
from rnb.analysis.slack import Slack
from rnb.analysis.step_work import StepWork
from rnb.record.run import Run

GROWTH_LIMIT = 2.576
"""Normal, 1 %, both sides of a distribution folded at 0."""
IDLE_LIMIT = 1.96
"""The same, 5 %."""


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Requests that wait because the pipeline is slower than the arrivals."""

    growth: float
    """From the start to the end, not counting as many as are served at once."""
    by_chance: float
    """At a load of 1."""
    has_grown: bool
    keeps_up: bool

    def __str__(self) -> str:
        return f"the backlog grew by {self.growth:.0f} requests, chance gives {self.by_chance:.0f}"


def find_backlog(run: Run, work: Sequence[StepWork], slack: Slack, stretch: Stretch) -> Backlog:
    start, end = in_system(run).at(np.array(stretch))
    capacity = sum(one.capacity for one in work)
    growth = float(end - max(start, capacity))
    by_chance = GROWTH_LIMIT * math.sqrt(slack.variation * slack.num_requests)
    has_grown = growth > by_chance
    return Backlog(
        growth=growth,
        by_chance=by_chance,
        has_grown=has_grown,
        keeps_up=not has_grown and slack.evidence > IDLE_LIMIT,
    )
