"""Runs against a reference: the same load and results first, then faster, slower, or inconclusive.

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
from rnb.analysis.offered import Offered, offered, offered_difference
from rnb.analysis.pairing import Overlap, pair
from rnb.analysis.ratio import Ratio
from rnb.analysis.run_search import FoundRun
from rnb.analysis.settings import Settings, check_keys, group_key, settings_of
from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import SteadyState, find_steady_state, is_bulk
from rnb.analysis.turns import Timed, are_in_turn
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
DIFFERS = "differs within these runs"
"""Single runs: they differ, but perhaps so do equal ones from run to run."""
NO_VERDICT = "no verdict"
"""The runs are not such as can be compared; the reason says why."""
SINGLE = "one side has a single run, which says nothing of the spread; repeat it too"
TOO_FEW = f"too few requests for an interval, or they drift; play more of them (at least {MIN_SERIES})"


@dataclass(frozen=True, kw_only=True)
class Member:
    """What is kept of a run."""

    found: FoundRun
    settings: Settings
    step_names: tuple[str, ...]
    began_ns: int
    offered: Offered | None
    """None where the folder does not say."""
    num_clips: int
    """Of the requests that finished."""
    steady_from_s: float | None
    """From when on it was steady, in seconds of the measured phase, where its figures are of that part
    alone; None where they are of the whole."""
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
    first: tuple[Run, Run] | None = None
    members = []
    for found, run in runs:
        steady = find_steady_state(run)
        part = steady_part(run, steady)
        members.append(_member(found, run, part, steady, first))
        first = first or (run, part)
    return members


def _member(
    found: FoundRun, run: Run, part: Run, steady: SteadyState, first: tuple[Run, Run] | None
) -> Member:
    """`part` is the steady part; `first`: the first run, and its steady part."""
    overlap, effects = (None, None) if first is None else _against(*first, run, part)
    failure = "" if run.meta.is_success else run.meta.message
    return Member(
        found=found,
        settings=settings_of(run),
        step_names=tuple(run.step_names),
        began_ns=run.start_ns,
        offered=offered(run),
        num_clips=int(run.requests["num_clips"][run.finished].sum()) if "num_clips" in run.requests else 0,
        steady_from_s=None if part is run else steady.start_s,
        figures=figures_of(part),
        means=run_means(part),
        is_bulk=is_bulk(run),
        failure=failure,
        reservation="" if failure or run.meta.is_seed_format else _reservation(run, steady),
        overlap=overlap,
        effects=effects,
    )


def _reservation(run: Run, steady: SteadyState) -> str:
    verdict = judge(run, steady)
    return verdict.headline if verdict.findings else ""


def _against(first: Run, first_part: Run, other: Run, other_part: Run) -> tuple[Overlap, Effects | None]:
    """What two runs have in common, and how their steady parts differ."""
    whole = pair(first, other)
    if not run_means(first_part) or not run_means(other_part):
        return whole.overlap, None
    if not whole.overlap.is_paired:
        return whole.overlap, unpaired_effects(first_part, other_part)
    is_cut = first_part is not first or other_part is not other
    pairing = pair(first_part, other_part) if is_cut else whole
    found = paired_effects(first_part, other_part, pairing) if len(pairing.first) else None
    return whole.overlap, found


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

    @property
    def reservation(self) -> str:
        """Why one of its runs is INVALID; empty when none is."""
        return next((member.reservation for member in self.members if member.reservation), "")

    def figure(self, figure: Figure) -> Estimate | None:
        """The mean of a figure over the runs; None where one of them does not have it."""
        values = self.timed(figure)
        return of_runs([one.value for one in values]) if values else None

    def timed(self, figure: Figure) -> list[Timed]:
        """The figure of each run; empty where one of them does not have it."""
        values = [(member.began_ns, member.figures.get(figure)) for member in self.members]
        known = [Timed(began_ns=began_ns, value=value) for began_ns, value in values if value is not None]
        return known if len(known) == len(values) else []


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
    is_in_turn: bool
    """Whether the runs of both sides were played in turn."""
    is_bulk: bool
    """Whether all requests came at once, so that throughput decides instead of latency."""
    effects: Effects | None
    verdict: str
    reason: str
    """Empty for 'faster' and 'slower'."""

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
    def deciding(self) -> Ratio | None:
        """The change that the verdict rests on."""
        if self.effects is None:
            return None
        return self.effects.throughput if self.is_bulk else self.effects.latency


def contrast(reference: Group, other: Group, threshold: float = THRESHOLD) -> Contrast:
    """Compare a group with the reference.

    'faster' and 'slower' need all of this: no run failed, the same load was offered, the results agree,
    (nearly) the same requests finished, both sides were repeated, the interval of the deciding ratio
    excludes 1, and the change is at least `threshold`. Where requests come at their own times, latency
    decides, and the median must not contradict the mean; where all come at once, throughput does.
    """
    members = (*reference.members, *other.members)
    is_between_runs = reference.is_repeated or other.is_repeated
    effects = _between(reference, other) if is_between_runs else other.members[0].effects
    all_at_once = all(member.is_bulk for member in members)
    overlaps = tuple(member.overlap for member in other.members if member.overlap)
    obstacle = _obstacle(reference, other, overlaps)
    if obstacle:
        verdict, reason = NO_VERDICT, obstacle
    else:
        verdict, reason = _judge(effects, all_at_once, is_between_runs, threshold)
        if verdict in (FASTER, SLOWER) and not is_between_runs:
            verdict, reason = DIFFERS, "repeat to confirm"
    return Contrast(
        overlaps=overlaps,
        is_between_runs=is_between_runs,
        is_in_turn=are_in_turn(*(_began(group) for group in (reference, other))),
        is_bulk=all_at_once,
        effects=effects,
        verdict=verdict,
        reason=reason,
    )


def _began(group: Group) -> list[Timed]:
    return [Timed(began_ns=member.began_ns, value=0.0) for member in group.members]


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
        return "the offered load differs: in one all requests come at once, in the other they do not"
    loads = [[member.offered for member in group.members] for group in (reference, other)]
    return offered_difference(*loads) or _work_difference(reference, other, overlaps)


def _work_difference(reference: Group, other: Group, overlaps: Sequence[Overlap]) -> str:
    """Why it is not shown that the same work was done; empty when it is."""
    compared = sum(overlap.num_compared for overlap in overlaps)
    agreeing = sum(overlap.num_agreeing for overlap in overlaps)
    if compared and agreeing < MIN_AGREEMENT * compared:
        return f"the results differ; at least {MIN_AGREEMENT:.0%} must be the same"
    num_in_one = sum(overlap.num_finished_in_one for overlap in overlaps)
    if num_in_one > MAX_FINISHED_IN_ONE * max(1, sum(overlap.num_paired for overlap in overlaps)):
        return f"{num_in_one} requests finished in only one of the runs"
    if compared:
        return ""
    if {one.step_names for one in reference.members} != {one.step_names for one in other.members}:
        return "the pipelines differ, and no request has a result in both that shows the same work"
    clips = [float(np.mean([one.num_clips for one in group.members])) for group in (reference, other)]
    if abs(clips[1] - clips[0]) > MAX_FINISHED_IN_ONE * max(clips):
        return f"the work differs: {clips[1]:.6g} clips against {clips[0]:.6g}"
    return ""


def _judge(
    effects: Effects | None, all_at_once: bool, is_between_runs: bool, threshold: float
) -> tuple[str, str]:
    if effects is None:
        return INCONCLUSIVE, "no request finished in both"
    change = effects.throughput if all_at_once else effects.latency
    if change.log.error is None:
        return INCONCLUSIVE, SINGLE if is_between_runs else TOO_FEW
    if not change.excludes_one:
        return INCONCLUSIVE, "the interval includes no change"
    if abs(change.value - 1) < threshold:
        return INCONCLUSIVE, f"the change is below {threshold * 100:g} %"
    median = effects.median_ms
    if not all_at_once and median.excludes_zero and (median.value > 0) != (change.value > 1):
        return INCONCLUSIVE, "the mean and the median moved in opposite directions"
    is_faster = change.value > 1 if all_at_once else change.value < 1
    return (FASTER if is_faster else SLOWER), ""
