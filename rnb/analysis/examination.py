"""All tests of whether a stretch of a run keeps its level: what they found, and what they leave open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rnb.analysis.backlog import IDLE_LIMIT, Backlog, find_backlog
from rnb.analysis.level_tests import HIDDEN_ERRORS, NUM_SPANS, Change, Series, Stretch, find_changes
from rnb.analysis.pauses import MOST_BY_CHANCE, Pauses, chance_of_completions_s, find_pauses
from rnb.analysis.queue_depth import in_system
from rnb.analysis.slack import Slack, find_slack
from rnb.analysis.step_work import StepWork
from rnb.record.run import Run

THROUGHPUT, IN_SYSTEM, ARRIVALS = "throughput", "requests in the system", "arrivals"
MIN_RATE_CHANGE, MIN_SERVICE_CHANGE, MIN_IN_SYSTEM_CHANGE = 0.05, 0.1, 0.1
"""Smaller changes do not count. Shares of the mean level; of the number in the system none below 1 counts."""
MOST_HIDDEN = 0.25
"""A service that may have changed by so much is not shown to be steady."""
USUAL_ERRORS = 2.0
"""The largest difference of levels that is searched for is so many standard errors by chance."""
LEVEL_EVIDENCE = 10.0
"""With less (see Slack), the number in the system wanders by chance for longer than a span."""


@dataclass(frozen=True, kw_only=True)
class Untold:
    """What so few requests leave open."""

    text: str
    num_needed: int | None
    """How many requests would probably tell; None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    changes: list[Change]
    backlog: Backlog | None
    pauses: Pauses | None
    slack: Slack | None
    untold: list[Untold]

    @property
    def found(self) -> list[str]:
        """What is not steady, a line each."""
        lines = [str(change) for change in self.changes if change.is_found]
        if self.backlog and self.backlog.has_grown:
            lines.append(str(self.backlog))
        if self.pauses and self.pauses.is_large:
            lines.append(str(self.pauses))
        return lines

    @property
    def is_steady(self) -> bool | None:
        return False if self.found else None if self.untold else True

    def has_pause_after(self, at_s: float) -> bool:
        """Whether the worst pause is a large one that began later."""
        return self.pauses is not None and self.pauses.is_large and self.pauses.longest_at_s > at_s

    def is_of_start(self, until_s: float) -> bool:
        """Whether all that was found are shifts before that, and pauses."""
        shifts = [change for change in self.changes if change.is_found and change.at_s is not None]
        has_grown = self.backlog is not None and self.backlog.has_grown
        return not has_grown and all(change.at_s <= until_s for change in shifts if change.at_s)


def examine_bulk(run: Run, work: Sequence[StepWork], ends_s: Series, stretch: Stretch) -> Examination:
    """Of requests that all came at once; `ends_s`: when each finished, sorted."""
    return Examination(
        changes=_rate_changes(THROUGHPUT, ends_s, stretch),
        backlog=None,
        pauses=find_pauses(run, work, stretch),
        slack=None,
        untold=[],
    )


def examine(run: Run, work: Sequence[StepWork], stretch: Stretch) -> Examination:
    """Of requests that came over time."""
    start_ns, end_ns = (run.window_ns[0] + round(1e9 * edge) for edge in stretch)
    slack = find_slack(run, work, start_ns, end_ns)
    backlog = find_backlog(run, work, slack, stretch) if slack else None
    services = [change for one in work for change in _service_changes(run, one, stretch)]
    due_s = np.sort((run.due_ns - run.window_ns[0]) / 1e9)
    changes = [*_rate_changes(ARRIVALS, due_s, stretch), *services]
    if slack and slack.evidence >= LEVEL_EVIDENCE:
        changes += _level_changes(run, stretch)
    num_requests = int(np.diff(np.searchsorted(due_s, stretch))[0])
    return Examination(
        changes=changes,
        backlog=backlog,
        pauses=find_pauses(run, work, stretch),
        slack=slack,
        untold=[
            *_untold_service(services, num_requests),
            *_untold_backlog(backlog, slack),
            *_untold_pauses(run, stretch, num_requests),
        ],
    )


def _rate_changes(name: str, times_s: Series, stretch: Stretch) -> list[Change]:
    """Of what happens at these times, sorted."""
    edges_s = np.linspace(*stretch, NUM_SPANS + 1)
    rates = np.diff(np.searchsorted(times_s, edges_s)) / np.diff(edges_s)
    return find_changes(name, rates, stretch, least=MIN_RATE_CHANGE * float(rates.mean()))


def _level_changes(run: Run, stretch: Stretch) -> list[Change]:
    levels = in_system(run).means(np.linspace(*stretch, NUM_SPANS + 1))
    least = max(MIN_IN_SYSTEM_CHANGE * float(levels.mean()), 1.0)
    return find_changes(IN_SYSTEM, levels, stretch, least=least)


def _service_changes(run: Run, work: StepWork, stretch: Stretch) -> list[Change]:
    """In groups of as many requests, each against calls of its batch size."""
    due_s = (run.due_ns[work.row] - run.window_ns[0]) / 1e9
    services = work.relative_service[(due_s >= stretch[0]) & (due_s <= stretch[1])]
    if len(services) < NUM_SPANS:
        return []
    edges = np.linspace(0, len(services), NUM_SPANS + 1).astype(np.intp)
    means = np.add.reduceat(services, edges[:-1]) / np.diff(edges)
    return find_changes(f"service of step {work.step}", means, stretch, least=MIN_SERVICE_CHANGE)


def _untold_service(changes: Sequence[Change], num_requests: int) -> Iterator[Untold]:
    for change in changes:
        if change.at_s is not None and not change.is_found and change.at_most >= MOST_HIDDEN:
            error = (change.at_most - abs(change.change)) / HIDDEN_ERRORS
            longer = ((USUAL_ERRORS + HIDDEN_ERRORS) * error / MOST_HIDDEN) ** 2
            yield Untold(
                text=f"the {change.series} may have changed by {change.at_most:.0%}",
                num_needed=math.ceil(num_requests * max(1.0, longer)),
            )


def _untold_backlog(backlog: Backlog | None, slack: Slack | None) -> Iterator[Untold]:
    if backlog and slack and not backlog.keeps_up and not backlog.has_grown:
        yield Untold(
            text=f"whether it keeps up: {slack.share:.1%} of step {slack.step} was idle, which may be chance",
            num_needed=slack.num_needed(IDLE_LIMIT + 1),
        )


def _untold_pauses(run: Run, stretch: Stretch, num_requests: int) -> Iterator[Untold]:
    share = chance_of_completions_s(run, stretch) / (stretch[1] - stretch[0])
    if share > MOST_BY_CHANCE:
        yield Untold(
            text=f"a pause of {share:.1%} of the time may be chance",
            num_needed=math.ceil(num_requests * share / MOST_BY_CHANCE) if math.isfinite(share) else None,
        )
