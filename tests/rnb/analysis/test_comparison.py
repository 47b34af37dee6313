"""Groups of runs, and the rule of the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.analysis.comparison import Contrast, Group, contrast, group_members, members_of
from rnb.analysis.run_search import FoundRun
from rnb.analysis.settings import SettingsError
from rnb.contract.events import DUE
from rnb.record.run import Run
from tests.support.simulated_runs import later, simulate


def run(*, num_requests: int = 2000, seed: int = 0, speed: float = 1.0, **flags: Any) -> Run:
    folder = f"logs/{flags.pop('name', 'run')}"
    return simulate(
        folder, num_requests=num_requests, seed=seed, speed=speed, has_telemetry=False, flags=flags
    )


def same_load(*, seed: int, speed: float = 1.0) -> Run:
    """The schedule of seed 0, with services of their own: a repeat."""
    made, load = run(seed=seed, speed=speed), run()
    latency = {event: made.times[event] - made.times[DUE] for event in made.events}
    made.times = {event: load.times[DUE] + latency[event] for event in made.events}
    made.requests["arrival_ns"] = load.requests["arrival_ns"]
    return made


def groups_of(
    *runs: Run, swept: Sequence[str | None] | None = None, by: list[str] | None = None
) -> list[Group]:
    places = swept or [None] * len(runs)
    found = [FoundRun(folder=Path(str(one.folder)), swept=at) for one, at in zip(runs, places, strict=True)]
    return group_members(members_of(zip(found, runs, strict=True)), by)


def compared(first: Run, other: Run, threshold: float = 0.01) -> Contrast:
    groups = groups_of(first, other)
    return contrast(groups[0], groups[1], threshold)


def sizes(groups: list[Group]) -> list[int]:
    return [len(group.members) for group in groups]


def test_runs_of_the_same_settings_are_repeats() -> None:
    runs = [run(batch_size=size, logs=f"logs{index}") for index, size in enumerate((1, 2, 1, 1, 2))]
    assert sizes(groups_of(*runs)) == [3, 2]
    assert sizes(groups_of(*runs, by=["folder"])) == [5]
    assert sizes(groups_of(*runs, by=["batch_size"])) == [3, 2]
    assert sizes(groups_of(*runs, by=["queue_size"])) == [5]
    with pytest.raises(SettingsError, match="--group-by nonsense"):
        groups_of(*runs, by=["nonsense"])


def test_runs_that_are_all_alike_are_compared_one_by_one_if_named_so() -> None:
    runs = [run(), run(), run()]
    assert sizes(groups_of(*runs)) == [1, 1, 1]
    assert sizes(groups_of(*runs, swept=["logs"] * 3)) == [3]
    assert sizes(groups_of(*runs, swept=["before", "after", "after"])) == [1, 2]


def in_turn(*sides: Sequence[Run]) -> list[Group]:
    """Groups of as many repeats each, played in turn."""
    groups = []
    for index, runs in enumerate(sides):
        played = [later(one, 100 * (len(sides) * number + index)) for number, one in enumerate(runs)]
        groups.append(played)
    names = [str(index) for index, runs in enumerate(groups) for _ in runs]
    return groups_of(*(one for runs in groups for one in runs), swept=names)


def repeats(speed: float = 1.0, *, noise: float = 0.01, seed: int = 0, count: int = 5) -> list[Run]:
    random = np.random.default_rng(seed)
    return [run(speed=speed * float(np.exp(random.normal(0, noise)))) for _ in range(count)]


def verdict_of(*sides: Sequence[Run], threshold: float = 0.01) -> Contrast:
    groups = in_turn(*sides)
    return contrast(groups[0], groups[1], threshold)


def test_faster_slower_and_neither() -> None:
    found = verdict_of(repeats(), repeats(1.05, seed=1))
    assert (found.verdict, found.reason, found.is_bulk) == ("faster", "", False)
    assert (found.is_between_runs, found.is_in_turn) == (True, True)
    assert found.deciding
    assert found.deciding.value == pytest.approx(1 - 0.105, abs=0.03)
    assert verdict_of(repeats(), repeats(0.95, seed=1)).verdict == "slower"
    same = verdict_of(repeats(), repeats(seed=1))
    assert (same.verdict, same.reason) == ("inconclusive", "the interval includes no change")
    assert same.is_paired


def test_single_runs_differ_within_themselves() -> None:
    found = compared(run(), run(speed=1.05))
    assert (found.verdict, found.reason) == ("differs within these runs", "repeat to confirm")
    assert found.deciding
    assert found.deciding.interval
    same = compared(run(), same_load(seed=5))
    assert (same.verdict, same.reason) == ("inconclusive", "the interval includes no change")


def test_runs_that_were_not_played_in_turn_take_a_larger_difference() -> None:
    def blocks(speed: float) -> Contrast:
        runs = [*repeats(), *repeats(speed, seed=1)]
        played = [later(one, 100 * number) for number, one in enumerate(runs)]
        groups = groups_of(*played, swept=["before"] * 5 + ["after"] * 5)
        return contrast(groups[0], groups[1])

    def width(found: Contrast) -> float:
        assert found.deciding
        assert found.deciding.log.margin
        return found.deciding.log.margin

    assert not blocks(1.03).is_in_turn
    assert width(blocks(1.03)) > 2 * width(verdict_of(repeats(), repeats(1.03, seed=1)))
    assert blocks(1.3).verdict == "faster"


def test_a_change_below_the_threshold_is_none() -> None:
    first, other = repeats(noise=0), repeats(1.001, noise=0)
    found = verdict_of(first, other)
    assert found.effects
    assert found.effects.latency.excludes_one
    assert (found.verdict, found.reason) == ("inconclusive", "the change is below 1 %")
    assert verdict_of(repeats(noise=0), repeats(1.001, noise=0), threshold=0.0005).verdict == "faster"


def test_equal_runs_are_seldom_told_apart() -> None:
    verdicts = [compared(run(), same_load(seed=seed)).verdict for seed in range(1, 41)]
    assert verdicts.count("inconclusive") >= 35


def test_the_mean_and_the_median_must_not_contradict_each_other() -> None:
    other = run()
    last = other.times[other.events[-1]]
    other.times[other.events[-1]] = last + np.where(np.arange(2000) % 20, -1_000_000, 60_000_000)
    found = compared(run(), other)
    assert found.effects
    assert found.effects.latency.excludes_one
    assert found.reason == "the mean and the median moved in opposite directions"


def at_rate(rate_per_s: float, **flags: Any) -> Run:
    return simulate(num_requests=2000, rate_per_s=rate_per_s, has_telemetry=False, flags=flags)


def without_results(made: Run, *step_names: str) -> Run:
    made.requests["label"] = np.full(2000, -1, dtype=np.int32)
    made.meta.step_names = list(step_names or made.step_names)
    return made


def for_other_videos(made: Run) -> Run:
    made.requests["video"] = np.roll(made.requests["video"], 1)
    return made


def with_clips(made: Run, num_clips: int) -> Run:
    made.requests["num_clips"] = np.full(2000, num_clips, dtype=np.int32)
    return without_results(made)


@pytest.mark.parametrize(
    ("first", "other", "reason"),
    [
        (at_rate(100 / 3), at_rate(100), "the offered load differs: "),
        (run(), same_load(seed=1), ""),
        (run(), run(seed=1), "the offered load differs: "),
        (run(), run(num_requests=1000), "the work differs: 1000 requests against 2000"),
        (run(), for_other_videos(run()), "the work differs: the requests are for other videos"),
        (without_results(run()), without_results(run()), ""),
        (without_results(run()), without_results(run(), "A", "B"), "the pipelines differ, and no request"),
        (with_clips(run(), 1), with_clips(run(), 2), "the work differs: 4000 clips against 2000"),
    ],
)
def test_there_is_a_verdict_only_for_the_same_load_and_work(first: Run, other: Run, reason: str) -> None:
    found = compared(first, other)
    assert (found.verdict == "no verdict") is bool(reason)
    assert found.reason.startswith(reason)
    assert found.effects  # the figures are shown


def test_groups_whose_repeats_have_seeds_of_their_own() -> None:
    """The same seeds on both sides are the same load; other ones are not."""
    found = verdict_of(
        [run(seed=seed) for seed in range(4)], [run(seed=seed, speed=1.3) for seed in range(4)]
    )
    assert (found.verdict, found.reason) == ("faster", "")
    found = verdict_of([run(seed=seed) for seed in (0, 1)], [run(seed=seed, speed=1.3) for seed in (2, 3)])
    assert found.verdict == "no verdict"


def test_the_figures_are_those_of_the_steady_part() -> None:
    """The first 300 requests wait for something that is over by then."""

    def cold(speed: float) -> Run:
        made = simulate(num_requests=4000, rate_per_s=100, speed=speed, has_telemetry=False)
        delay_ns = np.linspace(8e9, 0, 4000 // 10).astype(np.int64)
        for event in made.events[2:]:
            made.times[event][: len(delay_ns)] += delay_ns
        return made

    members = members_of(
        (FoundRun(folder=Path(name), swept=None), cold(speed)) for name, speed in (("a", 1.0), ("b", 1.05))
    )
    assert all(member.steady_from_s and member.steady_from_s > 3 for member in members)
    found = contrast(Group(members=(members[0],)), Group(members=(members[1],)))
    assert found.effects
    assert members[0].means
    assert members[0].means.mean_ms < 30
    assert found.effects.latency.value == pytest.approx(0.93, abs=0.03)


def changed(**columns: Any) -> Run:
    made = run(speed=1.05)
    made.requests.update(columns)
    return made


def bulk(*, speed: float = 1.0) -> Run:
    made = run(speed=speed)
    made.requests["arrival_ns"] = np.zeros(2000, dtype=np.int64)
    made.times[DUE] = np.full(2000, made.start_ns)
    return made


def test_of_bulk_runs_throughput_decides() -> None:
    first, other = bulk(), bulk()
    for event in other.events[1:]:
        other.times[event] = other.start_ns + (other.times[event] - other.start_ns) * 4 // 5
    other.meta.end_epoch_ns = int(other.ends_ns.max())
    found = compared(first, other)
    assert (found.verdict, found.is_bulk) == ("differs within these runs", True)
    assert found.deciding
    assert found.deciding.value == pytest.approx(1.25, abs=0.001)


def failed() -> Run:
    made = run(speed=1.05)
    made.meta.is_success, made.meta.message = False, "frame queue 0 is full"
    return made


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (changed(label=(np.arange(2000) % 5).astype(np.int32)), "the results differ"),
        (
            changed(status=np.where(np.arange(2000) % 50, "finished", "failed")),
            "40 requests finished in only one",
        ),
        (changed(status=np.full(2000, "failed")), "2000 requests finished in only one"),
        (failed(), "a run failed"),
        (bulk(), "the offered load differs: in one all requests come at once"),
    ],
)
def test_what_must_not_be_compared(other: Run, reason: str) -> None:
    found = compared(run(), other)
    assert found.verdict == "no verdict"
    assert found.reason.startswith(reason)


def test_too_few_requests_for_an_interval() -> None:
    found = compared(run(num_requests=60), run(num_requests=60, speed=2))
    assert found.verdict == "inconclusive"
    assert "too few requests for an interval" in found.reason


def test_groups_are_compared_by_their_runs() -> None:
    before = [same_load(seed=seed) for seed in range(5)]
    after = [same_load(seed=seed, speed=1.3) for seed in range(5)]
    groups = in_turn(before, after)
    assert sizes(groups) == [5, 5]
    found = contrast(groups[0], groups[1])
    assert (found.verdict, found.is_between_runs) == ("faster", True)
    assert found.num_compared == 5 * 2000
    assert found.effects
    assert found.effects.latency.log.degrees == 7


def test_a_single_run_against_a_group_says_nothing_of_the_spread() -> None:
    groups = groups_of(run(), run(), run(speed=1.3), swept=["before", "before", "after"])
    found = contrast(groups[0], groups[1])
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("one side has a single run")
    assert found.deciding
    assert found.deciding.value < 0.8
