"""The real runs that a profile is made of, those that tell most first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

from rnb.campaigns.outcome import Outcome
from rnb.planner.profile import Profile, variants
from rnb.planner.space import Dimension, Space, Values, problem_of
from rnb.spec import RunSpec, plan_of, schedule_of

FIRST, SECONDS, PACED_LOAD = 24, 6.0, 0.5
"""Requests of the first run; how long another one may take, and the load of the one that is paced."""
MOST_REQUESTS = 2_000
FEWEST_COSTS = 30
"""Samples of what the harness costs where nothing waits."""
SLOTS = "num_shared_tensors"


class Player(Protocol):
    def __call__(self, spec: RunSpec, logs: Path) -> Outcome:
        """Play and judge a run, in a folder of its own below `logs`. Raises UsageError, RunFailed."""


class Wanted(NamedTuple):
    """A run, and what it is played for."""

    why: str
    values: Values
    is_paced: bool = False


def profile_by_runs(
    profile: Profile,
    space: Space,
    play: Player,
    folder: Path,
    *,
    seconds: float,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Add to the profile what it lacks, until the time is over. Raises UsageError, RunFailed."""
    ends_s, per_s = time.monotonic() + seconds, 0.0
    for wanted in _wanted(space):
        spec = space.spec_of(wanted.values)
        if problem_of(spec, num_requests=1) or _is_known(profile, spec, wanted):
            continue
        if profile.runs and time.monotonic() > ends_s:
            tell(f"profile: no time left for {wanted.why}")
            continue
        if wanted.is_paced and not per_s:
            continue
        count = min(MOST_REQUESTS, max(FIRST, int(per_s * SECONDS)))
        interval_ms = 1e3 / per_s / PACED_LOAD if wanted.is_paced else 0
        outcome = play(spec.with_load(videos=count, warmup=0, mean_interval_ms=interval_ms), folder)
        profile.add(outcome.run)
        if not wanted.is_paced:
            per_s = outcome.run.finished.sum() / max(1e-9, outcome.run.seconds)
        tell(f"profile: {wanted.why}: {count} requests in {outcome.run.seconds:.1f} s")


def _wanted(space: Space) -> Iterator[Wanted]:
    yield Wanted("the config as it is, all requests at once", space.start)
    yield Wanted("the same at half of that rate", space.start, is_paced=True)
    for dimension in space.dimensions:
        for value in _telling(dimension):
            values = tuple(
                value if one is dimension else max(one.values) if one.key == SLOTS else one.start
                for one in space.dimensions
            )
            yield Wanted(f"{dimension.name} {value}", values)


def _telling(dimension: Dimension) -> Sequence[object]:
    """The values that change what a call takes; of batch sizes the largest that can run, as others lie
    between."""
    if dimension.key in ("batch_size", "max_clips"):
        return sorted(dimension.values, reverse=True)
    is_option = dimension.step is not None and dimension.key not in ("gpus", "workers", SLOTS)
    return [value for value in dimension.values if is_option and value != dimension.start]


def _is_known(profile: Profile, spec: RunSpec, wanted: Wanted) -> bool:
    """Whether earlier runs say all that this one would."""
    spec, schedule = schedule_of(replace(spec, observe=()).with_load(mean_interval_ms=0, videos=1))
    plan, config = plan_of(spec, num_requests=len(schedule)), spec.config.pipeline()
    if profile.missing(plan, config):
        return False
    if wanted.is_paced:
        return all(profile.num_of(name, "wake") >= FEWEST_COSTS for name in variants(config))
    if (batch := spec.placement.batch_size) == 1:
        return True
    largest = max((key.rows for key in profile.durations if key.kind == "call"), default=0)
    return 2 * largest > batch * min(profile.rows)  # a line reaches as far as that
