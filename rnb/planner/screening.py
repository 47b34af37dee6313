"""Work the candidates out, those first that could be the best, until none that is left can be."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from rnb.contract.termination import UsageError
from rnb.pipeline.config import PipelineConfig
from rnb.pipeline.plan import Plan
from rnb.planner.ceilings import SLACK, Ceiling, ceilings
from rnb.planner.goal import Goal, Prediction, of_run, uses
from rnb.planner.harness import FREE, HarnessCosts
from rnb.planner.profile import Profile
from rnb.planner.space import Space, Values
from rnb.record.run import Run
from rnb.simulation.service_times import SampledTimes
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import RunSpec, plan_of, schedule_of

CANNOT_WIN = "cannot be better than the best, by its size or its slowest step"
NUM_REQUESTS = 1_000
"""Of a simulated run."""
BLOCK = 32
"""Candidates that are held against the same best one."""
NUM_AT_A_GLANCE = 250
"""Of one that only tells whether a candidate comes near the best."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One that could run, before it is worked out."""

    values: Values
    space: Space
    bound: Ceiling
    """The lowest of its ceilings."""
    size: tuple[int, int]
    """GPUs, and workers on the CPU."""

    @property
    def spec(self) -> RunSpec:
        return self.space.spec_of(self.values)

    @property
    def plan(self) -> Plan:
        return _plan_of(self.spec)


@dataclass(kw_only=True)
class Candidates:
    """Those of a space that were looked at, and what became of the others."""

    left: list[Candidate] = field(default_factory=list)
    ruled_out: dict[str, int] = field(default_factory=dict)
    """By what, how many."""

    def rule_out(self, reason: str) -> None:
        self.ruled_out[reason] = self.ruled_out.get(reason, 0) + 1

    def add(self, more: Candidates) -> None:
        self.left += more.left
        for reason, count in more.ruled_out.items():
            self.ruled_out[reason] = self.ruled_out.get(reason, 0) + count


def candidates_of(space: Space, goal: Goal, simulator: Simulator, which: Iterable[Values]) -> Candidates:
    """Rule out what cannot run, is not known enough, or cannot reach the rate, without working it out."""
    found = Candidates()
    for values in which:
        if space.is_needless(values):
            found.rule_out("the same as another: nothing waits for its timeout")
            continue
        try:
            spec = space.spec_of(values)
            plan = _plan_of(spec)
        except UsageError as error:
            found.rule_out(f"cannot run ({str(error).partition(':')[0]})")
            continue
        if simulator.profile.missing(plan, spec.config.pipeline()):
            found.rule_out("has a step of which the profile says nothing")
            continue
        if (gpu := simulator.profile.too_large(plan, spec.config.pipeline())) is not None:
            found.rule_out(f"does not fit into the memory of GPU {gpu}")
            continue
        bound = simulator.ceilings(spec, plan)[0]
        if bound.per_s * SLACK < goal.needed_per_s:
            found.rule_out(f"{bound.name} cannot serve {goal.needed_per_s:g} requests/s")
            continue
        found.left.append(Candidate(values=values, space=space, bound=bound, size=uses(plan)))
    return found


def known_forms(space: Space, simulator: Simulator) -> list[int]:
    """The forms of which the profile knows all steps, as they are."""
    return [number for number in range(len(space.forms)) if _is_known(space, simulator, number)]


def _is_known(space: Space, simulator: Simulator, form: int) -> bool:
    try:
        spec = space.spec_of(space.start_of(form))
        return not simulator.profile.missing(_plan_of(spec), spec.config.pipeline())
    except UsageError:
        return False


def _plan_of(spec: RunSpec) -> Plan:
    return plan_of(spec.with_load(mean_interval_ms=0), num_requests=NUM_REQUESTS)


@dataclass(kw_only=True)
class Simulator:
    """Works out runs of candidates from a profile; all with the same random numbers."""

    profile: Profile
    cores: float
    speed: Mapping[int, float] = field(default_factory=dict)
    """By step: how many times as fast it is supposed to be."""
    harness: HarnessCosts = FREE

    def ceilings(self, spec: RunSpec, plan: Plan) -> list[Ceiling]:
        config = spec.config.pipeline()
        services = self._services(plan, config, num_requests=1, seed=0)
        return ceilings(plan, services, self._around(plan, config))

    def _around(self, plan: Plan, config: PipelineConfig) -> Surroundings:
        around = self.profile.surroundings(plan, config, cores=self.cores)
        return replace(around, **self.harness._asdict())

    def play(
        self,
        spec: RunSpec,
        mean_interval_ms: float,
        plan: Plan | None = None,
        *,
        num_requests: int = NUM_REQUESTS,
    ) -> Run:
        """A run with this mean interval; 0: all requests at once. Raises UsageError for what cannot be
        simulated."""
        spec = spec.with_load(
            mean_interval_ms=mean_interval_ms, videos=num_requests, warmup=0, duration=None, replay=None
        )
        return self.play_as_asked(spec, plan)

    def play_as_asked(self, spec: RunSpec, plan: Plan | None = None) -> Run:
        """A run with its own load. Raises UsageError for what cannot be simulated."""
        spec, schedule = schedule_of(replace(spec, observe=()))
        config = spec.config.pipeline()
        plan = plan or plan_of(spec, num_requests=len(schedule))
        return simulate(
            spec,
            schedule,
            self._services(plan, config, num_requests=len(schedule), seed=spec.load.seed),
            around=self._around(plan, config),
            plan=plan,
        )

    def _services(self, plan: Plan, config: PipelineConfig, *, num_requests: int, seed: int) -> SampledTimes:
        return self.profile.services(plan, config, num_requests=num_requests, seed=seed, speed=self.speed)

    def predict(self, goal: Goal, candidate: Candidate, best: Prediction | None = None) -> Prediction:
        """`best`: what is of interest only if it is exceeded; what falls far short of it in a short run is
        told by that alone."""
        spec, plan = candidate.spec, candidate.plan

        def play(mean_interval_ms: float, num_requests: int = NUM_REQUESTS) -> Run:
            return self.play(spec, mean_interval_ms, plan, num_requests=num_requests)

        if best is not None and (best.per_s or goal.name != "rate"):
            rough = of_run(play(goal.interval_ms(best), NUM_AT_A_GLANCE), plan)
            if goal.is_far_from(rough, best):
                return rough._replace(per_s=0.0) if goal.name == "rate" else rough
        return goal.predict(play, plan, candidate.bound.per_s * SLACK, best)


class Predict(Protocol):
    def __call__(self, candidates: Sequence[Candidate], best: Prediction | None) -> Iterator[Prediction]:
        """Of each, in their order. `best`: see Simulator.predict."""


def screen(
    found: Candidates,
    goal: Goal,
    predict: Predict,
    *,
    known: dict[Values, Prediction],
    until_s: float,
    tell: Callable[[Values, Prediction], None] = lambda values, prediction: None,
) -> None:
    """Work them out, in order of their bounds.

    `known` is filled; what it holds already is not worked out again. It ends when the time (of
    time.monotonic) is over. Those of a block may be worked out side by side, as all of them are held against
    the best before it.
    """
    best = min(known.values(), key=goal.rank, default=None)
    left = sorted(found.left, key=lambda one: (_size(one, goal), -one.bound.per_s))
    blocks = iter([one for one in left if one.values not in known])
    while time.monotonic() <= until_s and (block := list(itertools.islice(blocks, BLOCK))):
        may_win = [one for one in block if best is None or not _cannot_win(one, goal, best)]
        for _ in range(len(block) - len(may_win)):
            found.rule_out(CANNOT_WIN)
        for candidate, prediction in zip(may_win, predict(may_win, best), strict=False):
            known[candidate.values] = prediction
            tell(candidate.values, prediction)
            if time.monotonic() > until_s:
                return
        best = min(known.values(), key=goal.rank, default=None)


def _size(candidate: Candidate, goal: Goal) -> tuple[int, ...]:
    return candidate.size if goal.name == "cost" else ()


def _cannot_win(candidate: Candidate, goal: Goal, best: Prediction) -> bool:
    """Whether the best that is known is better than this one can be."""
    if goal.name == "cost":
        return goal.is_met(best) and (best.num_gpus, best.cores) < candidate.size
    return goal.name in ("throughput", "rate") and candidate.bound.per_s * SLACK < best.per_s
