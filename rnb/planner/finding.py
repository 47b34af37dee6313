"""All that a search found, for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rnb.planner.explanation import Explanation, explain
from rnb.planner.goal import Goal, Prediction
from rnb.planner.screening import Simulator
from rnb.planner.space import Space, Values
from rnb.planner.system import System
from rnb.planner.verification import Verified


@dataclass(frozen=True, kw_only=True)
class SearchFinding:
    space: Space
    goal: Goal
    simulator: Simulator
    ruled_out: Mapping[str, int]
    """By what, how many."""
    worked_out: Mapping[Values, Prediction]
    chosen: Sequence[Verified]
    """The first is the config as it was, unless that is ruled out."""
    best: Verified | None
    """As measured; None before any was played."""

    @property
    def predicted_best(self) -> Values:
        return min(self.worked_out, key=lambda values: self.goal.rank(self.worked_out[values]))

    @cached_property
    def explanation(self) -> Explanation:
        """Of the best, or of the one that is predicted to be. Raises UsageError."""
        spec = self.best.candidate.spec if self.best else self.space.spec_of(self.predicted_best)
        return explain(System.of(spec, self.simulator))
