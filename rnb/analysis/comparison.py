"""Runs against a reference: the same results first, then faster, slower, or inconclusive.

The first run is the reference. Of every other run only what the comparison needs is kept, so that a sweep
takes the memory of two runs. Runs of the same settings are repeats, and form a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rnb.analysis.effects import (
    Effects,
    RunMeans,
    effects_between,
    paired_effects,
    run_means,
    unpaired_effects,
)
from rnb.analysis.estimate import MIN_SERIES, Estimate, of_runs
from rnb.analysis.figures import Figure, figures_of
from rnb.analysis.pairing import Overlap, pair
from rnb.analysis.run_search import FoundRun
from rnb.analysis.settings import Settings, check_keys, group_key, settings_of
from rnb.analysis.steady_state import is_bulk
from rnb.analysis.verdict import judge
from rnb.record.run import Run

THRESHOLD = 0.01
"""A smaller change, as a share of the reference, matters to nobody."""
MIN_AGREEMENT = 0.95
"""The share of requests whose result must stay the same; DL Streamer's optimizer asks for as many of the
detections of a candidate."""
MAX_FINISHED_IN_ONE = 0.01
"""The share of requests that may have finished in only one of two runs: who did not is no random sample."""
FASTER, SLOWER, INCONCLUSIVE = "faster", "slower", "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Member:
    """What is kept of a run."""

    found: FoundRun
    settings: Settings
    step_names: tuple[str, ...]
    figures: dict[Figure, float | None]
    means: RunMeans | None
    is_bulk: bool
    """Whether all requests came at once."""
    failure: str
    """Why it failed; empty when it did not."""
    reservation: str
    """Why it is INVALID, which is for the reader to weigh; empty when it is VALID, or not known to be."""
    overlap: Overlap | None
    """With the first run; None for that run itself."""
    effects: Effects | None
    """Against the first run alone; None for that run itself, and where nothing finished."""


NO_FAULT = "None"
"""Of the flag --fault, as settings show it; runs of before it lack it."""


def letter(index: int) -> str:
    """The name of a group, wherever it is shown."""
    return chr(ord("A") + index) if index < 26 else f"#{index + 1}"


def members_of(runs: Iterable[tuple[FoundRun, Run]]) -> list[Member]:
    """Compare each run with the first one, as they are read."""
    first: Run | None = None
    members = []
    for found, run in runs:
        members.append(_member(found, run, first))
        first = first or run
    return members


def _member(found: FoundRun, run: Run, first: Run | None) -> Member:
    overlap, effects = (None, None) if first is None else _against(first, run)
    failure = "" if run.meta.is_success else run.meta.message
    return Member(
        found=found,
        settings=settings_of(run),
        step_names=tuple(run.step_names),
        figures=figures_of(run),
        means=run_means(run),
        is_bulk=is_bulk(run),
        failure=failure,
        reservation="" if failure or run.meta.is_seed_format else _reservation(run),
        overlap=overlap,
        effects=effects,
    )


def _reservation(run: Run) -> str:
    verdict = judge(run)
    return verdict.headline if verdict.findings else ""


def _against(first: Run, other: Run) -> tuple[Overlap, Effects | None]:
    pairing = pair(first, other)
    if not run_means(first) or not run_means(other):
        return pairing.overlap, None
    if pairing.overlap.is_paired:
        return pairing.overlap, paired_effects(first, other, pairing) if len(pairing.first) else None
    return pairing.overlap, unpaired_effects(first, other)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Repeats of one run, or a single one."""

    members: tuple[Member, ...]

    @property
    def is_repeated(self) -> bool:
        return len(self.members) > 1

    @property
    def failure(self) -> str:
        """Why one of its runs failed; empty when none did."""
        return next((member.failure for member in self.members if member.failure), "")

    def figure(self, figure: Figure) -> Estimate | None:
        """The mean of a figure over the runs; None where one of them does not have it."""
        values = [member.figures.get(figure) for member in self.members]
        known = [value for value in values if value is not None]
        return of_runs(known) if len(known) == len(values) else None


def group_members(members: Sequence[Member], keys: Sequence[str] | None = None) -> list[Group]:
    """Groups of runs with the same settings, or the same values of `keys`, in the order of their first run.

    Two folders that were swept are two sides of a comparison, so their runs are never repeats of each other.
    And runs named one by one that are all alike are compared one by one, as a commit before and after is.
    Raises SettingsError for a key that no run has.
    """
    check_keys("--group-by", keys or (), [member.settings for member in members])
    groups: dict[object, list[Member]] = {}
    for member in members:
        side = member.found.swept if keys is None else None
        groups.setdefault((side, group_key(member.settings, keys)), []).append(member)
    is_one_by_one = keys is None and len(groups) == 1 and members[0].found.swept is None
    kinds = [[member] for member in members] if is_one_by_one else groups.values()
    return [Group(members=tuple(kind)) for kind in kinds]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A group against the reference group."""

    overlaps: tuple[Overlap, ...]
    """Of its runs with the first run."""
    is_between_runs: bool
    """Whether the intervals are those of repeated runs."""
    is_bulk: bool
    """Whether all requests came at once, so that throughput decides instead of latency."""
    effects: Effects | None
    verdict: str
    reason: str
    """Of an inconclusive verdict."""

    @property
    def is_paired(self) -> bool:
        return all(overlap.is_paired for overlap in self.overlaps)

    @property
    def num_agreeing(self) -> int:
        return sum(overlap.num_agreeing for overlap in self.overlaps)

    @property
    def num_compared(self) -> int:
        return sum(overlap.num_compared for overlap in self.overlaps)

    @property
    def deciding(self) -> Estimate | None:
        """The change that the verdict rests on, as a share."""
        if self.effects is None:
            return None
        return self.effects.throughput if self.is_bulk else self.effects.latency


def contrast(reference: Group, other: Group, threshold: float = THRESHOLD) -> Contrast:
    """Compare a group with the reference.

    'faster' and 'slower' need all of this: no run failed, the results agree, (nearly) the same requests
    finished, the 95 % interval of the deciding change excludes zero, and the change is at least `threshold`.
    Where requests come at their own times, latency decides, and the median must not contradict the mean;
    where all come at once, throughput does.
    """
    members = (*reference.members, *other.members)
    is_between_runs = reference.is_repeated or other.is_repeated
    effects = _between(reference, other) if is_between_runs else other.members[0].effects
    overlaps = tuple(member.overlap for member in other.members if member.overlap)
    all_at_once = all(member.is_bulk for member in members)
    obstacle = _obstacle(reference, other, overlaps) or _unknown(effects, all_at_once, is_between_runs)
    verdict, reason = (INCONCLUSIVE, obstacle)
    if effects and not obstacle:
        verdict, reason = _judge(effects, all_at_once, threshold)
    return Contrast(
        overlaps=overlaps,
        is_between_runs=is_between_runs,
        is_bulk=all_at_once,
        effects=effects,
        verdict=verdict,
        reason=reason,
    )


def _between(reference: Group, other: Group) -> Effects | None:
    means = [[member.means for member in group.members if member.means] for group in (reference, other)]
    return effects_between(*means) if all(means) else None


def _obstacle(reference: Group, other: Group, overlaps: Sequence[Overlap]) -> str:
    """Why the runs must not be compared; empty when they may."""
    members = (*reference.members, *other.members)
    if reference.failure or other.failure:
        return "a run failed"
    if len({member.settings.get("fault", NO_FAULT) for member in members}) > 1:
        return "they were played with different faults"
    if len({member.is_bulk for member in members}) > 1:
        return "in one all requests come at once, in the other they do not"
    compared = sum(overlap.num_compared for overlap in overlaps)
    agreeing = sum(overlap.num_agreeing for overlap in overlaps)
    if compared and agreeing < MIN_AGREEMENT * compared:
        return f"the results differ; at least {MIN_AGREEMENT:.0%} must be the same"
    num_in_one = sum(overlap.num_finished_in_one for overlap in overlaps)
    if num_in_one > MAX_FINISHED_IN_ONE * max(1, sum(overlap.num_paired for overlap in overlaps)):
        return f"{num_in_one} requests finished in only one of the runs"
    return ""


def _unknown(effects: Effects | None, all_at_once: bool, is_between_runs: bool) -> str:
    """Why nothing can be said of the change; empty when something can."""
    if effects is None:
        return "no request finished in both"
    if (effects.throughput if all_at_once else effects.latency).error is not None:
        return ""
    if is_between_runs:
        return "one side has a single run, which says nothing of the spread; repeat it too"
    return f"too few requests for an interval, or they drift; play more of them (at least {MIN_SERIES})"


def _judge(effects: Effects, all_at_once: bool, threshold: float) -> tuple[str, str]:
    change = effects.throughput if all_at_once else effects.latency
    if not change.excludes_zero:
        return INCONCLUSIVE, "the interval includes no change"
    if abs(change.value) < threshold:
        return INCONCLUSIVE, f"the change is below {threshold * 100:g} %"
    median = effects.median_ms
    if not all_at_once and median.excludes_zero and np.sign(median.value) != np.sign(change.value):
        return INCONCLUSIVE, "the mean and the median moved in opposite directions"
    is_faster = change.value > 0 if all_at_once else change.value < 0
    return (FASTER if is_faster else SLOWER), ""
