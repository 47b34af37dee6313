"""Large spaces: bounds, a sample, and then around the best."""

from __future__ import annotations

import time
from pathlib import Path

from rnb.planner import exploration
from rnb.planner.exploration import explore, neighbours
from rnb.planner.goal import Goal, Prediction
from rnb.planner.profile import Profile
from rnb.planner.profiling import profile_by_runs
from rnb.planner.screening import Simulator
from rnb.planner.space import Limits, Space, Values
from tests.rnb.planner.test_screening import Truth
from tests.support.known_times import spec_of, step

STEPS = [{**step(name), "gpus": [-1]} for name in ("Source", "ChangeOne", "ChangeOne")]
SPACE = Space(spec_of(*STEPS, videos=100), Limits(num_gpus=0, cores=6))


def explored(most_enumerated: int) -> tuple[dict[Values, Prediction], int]:
    profile = Profile()
    profile_by_runs(profile, SPACE, Truth(), Path("nowhere"), seconds=60)
    known = dict[Values, Prediction]()
    before = exploration.MOST_ENUMERATED, exploration.SAMPLE
    exploration.MOST_ENUMERATED, exploration.SAMPLE = most_enumerated, 20
    try:
        found = explore(
            SPACE, Goal(name="throughput"), Simulator(profile=profile, cores=4), known=known,
            until_s=time.monotonic() + 120,
        )  # fmt: skip
    finally:
        exploration.MOST_ENUMERATED, exploration.SAMPLE = before
    return known, len(found.left)


def test_around_the_best_of_a_sample_is_as_good_a_candidate_as_there_is() -> None:
    """Three steps must have their replicas at once, so one change at a time gains nothing."""
    goal = Goal(name="throughput")
    all_of_it, num_all = explored(10**6)
    sampled, num_sampled = explored(10)
    best, found = (min(map(goal.rank, known.values())) for known in (all_of_it, sampled))
    assert found[0] <= 0.98 * best[0]
    assert num_sampled < num_all == SPACE.num_candidates


def test_neighbours_differ_in_one_thing_or_in_the_replicas_of_two_steps() -> None:
    start = SPACE.start
    changed = [
        sum(one != other for one, other in zip(values, start, strict=True))
        for values in neighbours(SPACE, start)
    ]
    assert set(changed) == {1, 2}
    assert changed.count(1) == sum(len(one.values) - 1 for one in SPACE.dimensions)
