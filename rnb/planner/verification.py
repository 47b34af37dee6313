"""The best candidates, and the config as it was, really played: in turn, and compared as compare.py does.

Where the config as it was is ruled out, the best of the others takes its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rnb.analysis.comparison import Contrast, Group, contrast, members_of
from rnb.analysis.pairing import pair
from rnb.analysis.run_search import FoundRun
from rnb.campaigns.campaign import RunFailed
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
    """With the first; None of that itself, and before it was played."""
    problem: str = ""
    """Why it does not count: its run failed, or its results are others."""

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
        return None if self.measured is None else goal.error(self.predicted, self.measured)

    def error_of_last(self, goal: Goal) -> float | None:
        """The same against its last run alone."""
        return goal.error(self.predicted, of_run(self.runs[-1], self.candidate.plan))


def verify(
    chosen: Sequence[Verified],
    goal: Goal,
    play: Player,
    folder: Path,
    *,
    num_requests: int,
    num_rounds: int,
    has_time: Callable[[], bool],
    min_agreement: float = 0.0,
    tell: Callable[[Verified], None] = lambda one: None,
) -> None:
    """Play the chosen in turn until each has so many runs, as long as there is time; each at least once.

    The others are compared with the first of them. One that fails, or of whose results too few are those of
    the first, is not played again. Raises UsageError, and RunFailed where it is the first.
    """
    first = chosen[0]
    for number in range(1, num_rounds + 1):
        for one in chosen:
            if one.problem or len(one.runs) >= number or (one.runs and not has_time()):
                continue
            spec = goal.load(one.candidate.spec, _best(chosen, goal))
            try:
                outcome = play(spec.with_load(videos=num_requests, warmup=num_requests // 20), folder)
            except RunFailed as error:
                if one is first:
                    raise
                one.problem = str(error)
                continue
            one.runs.append(outcome.run)
            one.problem = disagreement(first, one, min_agreement)
            tell(one)
    _compare([one for one in chosen if one.runs])


def disagreement(first: Verified, one: Verified, min_agreement: float) -> str:
    """That too few results of its runs are those of the first; empty where they are enough, or none says."""
    overlaps = [pair(first.runs[0], run).overlap for run in one.runs]
    compared, agreeing = (
        sum(counts)
        for counts in zip(*((one.num_compared, one.num_agreeing) for one in overlaps), strict=True)
    )
    if agreeing >= min_agreement * compared:
        return ""
    return (
        f"{agreeing / compared:.1%} of its results are those of A, and --min-agreement is {min_agreement:g}"
    )


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
    played = [
        (goal.rank(one.measured), number)
        for number, one in enumerate(chosen)
        if one.measured and not one.problem
    ]
    if not played:
        raise UsageError("no candidate was played")
    return chosen[min(played)[1]]
