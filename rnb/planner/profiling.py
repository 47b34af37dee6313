"""The real runs that a profile is made of, those that tell most first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rnb.campaigns.campaign import RunFailed
from rnb.campaigns.outcome import Outcome
from rnb.contract.termination import UsageError
from rnb.pipeline.plan import Plan
from rnb.planner.dimension import Dimension
from rnb.planner.key import variants
from rnb.planner.profile import Profile, crowds_of
from rnb.planner.space import Space, Values
from rnb.record.run import Run
from rnb.spec import RunSpec, plan_of, schedule_of

FIRST, SECONDS, PACED_LOAD = 24, 6.0, 0.5
"""Requests of the first run; how long another one may take, and the load of those that are paced."""
ENOUGH = 3
"""A run with so many times fewer requests than another one would have is enough."""
MOST_REQUESTS = 2_000
FEWEST_COSTS = 30
"""Samples of what the harness costs where nothing waits."""
QUIETER = 0.4
"""Of all cores: what busy ones cost is told by runs that differ by so much in how many are in use."""
FEW_WORKERS = 2
"""Threads of a replica wait for each other; with so many more or fewer that is nearly the same."""
SLOTS = "num_shared_tensors"
PLACING = ("gpus", "workers", SLOTS, "num_segments", "queue_groups", "batch_timeout_ms", "per_gpu_queue")
"""Keys that say where calls run and what waits for them; all others change the calls themselves."""


class Player(Protocol):
    def __call__(self, spec: RunSpec, logs: Path) -> Outcome:
        """Play and judge a run, in a folder of its own below `logs`. Raises UsageError, RunFailed."""


class Wanted(NamedTuple):
    """A run, and what it is played for."""

    why: str
    values: Values
    is_own: bool = True
    """Whether somebody wrote this form of the pipeline down; others come last."""
    worth: float = 0.0
    """For what share of the form's candidates it tells something."""
    is_paced: bool = False
    is_form: bool = False
    """Whether it is another pipeline, as it is."""
    is_alike: bool = True
    """Whether it is on the same kinds of devices as the start, so not slower by orders of magnitude."""


def profile_by_runs(
    profile: Profile,
    space: Space,
    play: Player,
    folder: Path,
    *,
    seconds: float,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Add to the profile what it lacks, until the time is over.

    What the first run needs must work; of another one that fails it is told, and its candidates stay unknown.
    Raises UsageError, RunFailed.
    """
    ends_s, pace = time.monotonic() + seconds, _Pace()
    for wanted in _wanted(space):
        if _is_known(profile, space, wanted):
            continue
        if profile.runs and time.monotonic() > ends_s:
            tell(f"profile: no time left for {wanted.why}")
            continue
        form = wanted.values[0]
        if wanted.is_paced and form not in pace.per_s:
            continue
        spec = replace(space.spec_of(wanted.values), memory=True)
        is_new = not pace.per_s or _lacks(profile, spec)
        interval_ms = 1e3 / pace.per_s[form] / PACED_LOAD if wanted.is_paced else 0
        counts = [pace.first(wanted) if is_new else pace.usual(form)]
        for count in counts:  # of what may be far slower than the start a few requests first
            began_s = time.monotonic()
            try:
                run = play(spec.with_load(videos=count, warmup=0, mean_interval_ms=interval_ms), folder).run
            except RunFailed as error:
                if not profile.runs:
                    raise
                tell(f"profile: {wanted.why}: {error}")
                break
            profile.add(run)
            tell(f"profile: {wanted.why}: {count} requests in {run.seconds:.1f} s")
            pace.note(run, time.monotonic() - began_s)
            own_per_s = run.finished.sum() / max(1e-9, run.seconds)
            more = _num_requests(own_per_s)
            if is_new and len(counts) == 1 and more > ENOUGH * count and time.monotonic() < ends_s:
                counts.append(more)
            if not wanted.is_paced and (form not in pace.per_s or wanted.values == space.start_of(form)):
                pace.per_s[form] = own_per_s


class _Pace:
    """How fast the forms are, and how long a run takes beside its requests."""

    def __init__(self) -> None:
        self.per_s: dict[int, float] = {}
        """By form, with all requests at once."""
        self._start_up_s = 0.0

    def note(self, run: Run, wall_s: float) -> None:
        self._start_up_s = max(0.0, wall_s - run.seconds)

    def usual(self, form: int) -> int:
        return _num_requests(self.per_s.get(form) or next(iter(self.per_s.values())))

    def first(self, wanted: Wanted) -> int:
        """Of what nothing is known of: few, as it may be far slower; where starting takes long, so many that
        another run is seldom needed."""
        if not self.per_s or not wanted.is_alike:
            return FIRST
        per_s = next(iter(self.per_s.values()))
        return max(FIRST, min(_num_requests(per_s), int(per_s * self._start_up_s / 2)))


def _num_requests(per_s: float) -> int:
    return min(MOST_REQUESTS, max(FIRST, int(per_s * SECONDS)))


def _lacks(profile: Profile, spec: RunSpec) -> bool:
    """Whether it has a step of which nothing is known."""
    plan = plan_of(spec.with_load(mean_interval_ms=0), num_requests=1)
    return bool(profile.missing(plan, spec.config.pipeline()))


def _wanted(space: Space) -> Iterator[Wanted]:
    yield Wanted("the config as it is, all requests at once", space.start)
    yield Wanted("the same at half of that rate", space.start, is_paced=True)
    yield from sorted(_variations(space), key=lambda one: (not one.is_own, -one.worth))


def _variations(space: Space) -> Iterator[Wanted]:
    """Other forms, and what changes the calls of a form, one thing at a time."""
    for number, (form, dimensions) in enumerate(space.forms):
        start, is_own = space.start_of(number), form.num_moves == 0
        if number:
            yield Wanted(form.name, start, is_own, worth=1, is_form=True)
            if is_own:
                yield Wanted(f"{form.name}, at half of its rate", start, worth=1, is_paced=True)
        for place, dimension in enumerate(dimensions, 1):
            for value, share in _telling(dimension):
                values = tuple(
                    value if at == place else _roomy(dimensions[at - 1]) if at else number
                    for at in range(len(start))
                )
                why = f"{dimension.name} {dimension.shown(value)}"
                if not space.is_needless(values):
                    is_alike = dimension.key != "gpus" or _kinds(value) == _kinds(dimension.start)
                    name = f"{form.name}: {why}" if form.name else why
                    yield Wanted(name, values, is_own, worth=share, is_alike=is_alike)


def _roomy(dimension: Dimension) -> Any:
    """As it is, with as many slots as may be, so that large batches fit."""
    return max(dimension.values) if dimension.key == SLOTS else dimension.start


def _telling(dimension: Dimension) -> Iterator[tuple[Any, float]]:
    """The values that change what a call takes, and for what share of all each tells it: of batch sizes the
    largest that can run, as others lie between; of placements one on another kind of device, and the one with
    most neighbours."""
    if dimension.key in ("batch_size", "max_clips"):
        others = [value for value in dimension.values if value != dimension.start]
        yield from ((value, len(others) / len(dimension.values)) for value in sorted(others, reverse=True))
    elif dimension.key == "gpus":
        yield from _telling_placements(dimension)
    elif dimension.key == "workers":
        most = max(dimension.values, key=lambda value: value or 0)
        if most != dimension.start:
            yield most, 1 / len(dimension.values)
    elif dimension.step is not None and dimension.key not in PLACING:
        values = dimension.values
        yield from ((value, 1 / len(values)) for value in values if value != dimension.start)


def _telling_placements(dimension: Dimension) -> Iterator[tuple[Any, float]]:
    values, own = dimension.values, _kinds(dimension.start)
    on_new = [value for value in values if _kinds(value) - own]
    crowded = [value for value in values if _kinds(value) == own]
    if on_new:
        yield min(on_new, key=len), len(on_new) / len(values)
    if len(crowded) > 1:
        yield max(crowded, key=len), (len(crowded) - 1) / len(values)


def work_of(space: Space, values: Values) -> tuple[object, ...]:
    """What the calls of a candidate do, wherever they are: those with the same give the same results."""
    given = zip(space.dimensions_of(values), values[1:], strict=True)
    return (values[0], *(value for one, value in given if one.step is not None and one.key not in PLACING))


def _kinds(gpus: Sequence[int]) -> set[bool]:
    return {gpu >= 0 for gpu in gpus}


def _is_known(profile: Profile, space: Space, wanted: Wanted) -> bool:
    """Whether earlier runs say all that this one would, or it cannot run."""
    try:
        spec = space.spec_of(wanted.values)
        spec, schedule = schedule_of(replace(spec, observe=()).with_load(mean_interval_ms=0, videos=1))
        plan = plan_of(spec, num_requests=len(schedule))
    except UsageError:
        return bool(profile.runs)  # what is wrong with the config itself is for the run to say
    config = spec.config.pipeline()
    if profile.missing(plan, config):
        return False
    names = variants(config)
    if wanted.is_form and wanted.is_own and _is_quieter(profile, plan, names):
        return False
    if wanted.is_paced:
        return all(profile.num_of(name, "wake") >= FEWEST_COSTS for name in names)
    seen = {(key.step, key.is_gpu, key.workers) for key in profile.durations if key.kind == "call"}
    for one in plan.replicas:
        near = range(one.workers - FEW_WORKERS, one.workers + FEW_WORKERS + 1)
        if not any((names[one.step], one.device.is_gpu, workers) in seen for workers in near):
            return False
    crowds = crowds_of((one.step, one.device.is_gpu, one.workers) for one in plan.replicas)
    if any(2 * profile.crowds.get((names[step], gpu), 0) < count for (step, gpu), count in crowds.items()):
        return False
    if (batch := spec.placement.batch_size) == 1:
        return True
    largest = max((key.rows for key in profile.durations if key.kind == "call"), default=0)
    return 2 * largest > batch * min(profile.rows)  # a line reaches as far as that


def _is_quieter(profile: Profile, plan: Plan, names: Sequence[str]) -> bool:
    """Whether it leaves the cores far more free than nearly all calls of one of its steps had them: calls of
    both kinds tell what busy cores cost."""
    num_cpus = profile.origin.get("num_cpus") or math.inf
    asked = [
        profile.demand.get((names[one.step], False), 1.0) * one.workers
        for one in plan.replicas
        if not one.device.is_gpu
    ]
    most = sum(asked) / num_cpus + QUIETER
    quiet = {(one.step, one.device.is_gpu): 0 for one in plan.replicas}
    for key, values in profile.durations.items():
        if key.kind == "call" and key.crowd <= most and key.step in names:
            at = names.index(key.step), key.is_gpu
            quiet[at] = quiet.get(at, 0) + len(values)
    return min(quiet.values()) < FEWEST_COSTS
