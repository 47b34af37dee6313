"""The best candidates, and the config as it was, really played: in turn, and compared as compare.py does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rnb.analysis.comparison import Contrast, Group, contrast, members_of
from rnb.analysis.run_search import FoundRun
from rnb.contract.termination import UsageError
from rnb.planner.goal import Goal, Prediction, of_run
from rnb.planner.profiling import Player
from rnb.planner.screening import Candidate
from rnb.record.run import Run


@dataclass(kw_only=True)
class Verified:
    """A candidate, and its runs."""

    candidate: Candidate
    predicted: Prediction
    runs: list[Run] = field(default_factory=list)
    contrast: Contrast | None = None
    """With the config as it was; None of that itself, and before it was played."""

    @property
    def measured(self) -> Prediction | None:
        """The means over its runs; None before there are any."""
        each = [of_run(run, self.candidate.plan) for run in self.runs]
        if not each:
            return None
        per_s, p50_ms, p99_ms = (
            float(np.mean([getattr(one, name) for one in each])) for name in ("per_s", "p50_ms", "p99_ms")
        )
        return each[0]._replace(per_s=per_s, p50_ms=p50_ms, p99_ms=p99_ms)

    def error(self, goal: Goal) -> float | None:
        """Of the prediction, as a share of what was measured."""
        if self.measured is None:
            return None
        measured = goal.figure(self.measured)[1]
        return goal.figure(self.predicted)[1] / measured - 1 if 0 < measured < np.inf else None


def verify(
    chosen: Sequence[Verified],
    goal: Goal,
    play: Player,
    folder: Path,
    *,
    num_requests: int,
    num_rounds: int,
    has_time: Callable[[], bool],
    tell: Callable[[Verified], None] = lambda one: None,
) -> None:
    """Play the chosen in turn, a round after the other, as long as there is time for one; each at least once.

    The first of them is the config as it was. Raises UsageError, RunFailed.
    """
    for _ in range(num_rounds):
        if all(one.runs for one in chosen) and not has_time():
            break
        for one in chosen:
            spec = goal.load(one.candidate.spec, _best(chosen, goal))
            outcome = play(spec.with_load(videos=num_requests, warmup=num_requests // 20), folder)
            one.runs.append(outcome.run)
            tell(one)
    _compare(chosen)


def _best(chosen: Sequence[Verified], goal: Goal) -> Prediction:
    return min((one.predicted for one in chosen), key=goal.rank)


def _compare(chosen: Sequence[Verified]) -> None:
    """Each with the first."""
    pairs = [(FoundRun(folder=run.folder or Path(), swept=None), run) for one in chosen for run in one.runs]
    members = iter(members_of(pairs))
    groups = [Group(members=tuple(itertools.islice(members, len(one.runs)))) for one in chosen]
    for one, group in zip(chosen[1:], groups[1:], strict=True):
        one.contrast = contrast(groups[0], group)


def winner(chosen: Sequence[Verified], goal: Goal) -> Verified:
    """The one that was measured to be best. Raises UsageError where none was played."""
    played = [(goal.rank(one.measured), number) for number, one in enumerate(chosen) if one.measured]
    if not played:
        raise UsageError("no candidate was played")
    return chosen[min(played)[1]]
