"""Work the candidates out, those first that could be the best, until none that is left can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rnb.contract.termination import UsageError
from rnb.pipeline.config import PipelineConfig
from rnb.pipeline.plan import Plan
from rnb.pipeline.step_type import asking_once
from rnb.planner.ceilings import SLACK, Ceiling, ceilings
from rnb.planner.goal import Goal, Prediction, uses
from rnb.planner.harness import FREE, HarnessCosts
from rnb.planner.profile import Profile
from rnb.planner.space import Space, Values
from rnb.record.run import Run
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import RunSpec, plan_of, schedule_of

CANNOT_WIN = "cannot be better than the best, by its size or its slowest step"
NUM_REQUESTS = 1_000
"""Of a simulated run."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One that could run, before it is worked out."""

    values: Values
    spec: RunSpec
    plan: Plan
    bound: Ceiling
    """The lowest of its ceilings."""


@dataclass(kw_only=True)
class Candidates:
    """Those of a space, and what became of the others."""

    left: list[Candidate] = field(default_factory=list)
    ruled_out: dict[str, int] = field(default_factory=dict)
    """By what, how many."""

    def rule_out(self, reason: str) -> None:
        self.ruled_out[reason] = self.ruled_out.get(reason, 0) + 1


def candidates_of(space: Space, profile: Profile, goal: Goal, simulator: Simulator) -> Candidates:
    """Rule out what cannot run, is not known enough, or cannot reach the rate, without working it out."""
    with asking_once():
        return _candidates_of(space, profile, goal, simulator)


def _candidates_of(space: Space, profile: Profile, goal: Goal, simulator: Simulator) -> Candidates:
    found = Candidates()
    for values in space.candidates():
        spec = space.spec_of(values)
        try:
            plan = plan_of(spec.with_load(mean_interval_ms=0), num_requests=NUM_REQUESTS)
        except UsageError as error:
            found.rule_out(f"cannot run ({str(error).partition(':')[0]})")
            continue
        if profile.missing(plan, spec.config.pipeline()):
            found.rule_out("has a step of which the profile says nothing")
            continue
        bound = simulator.ceilings(spec, plan)[0]
        if bound.per_s * SLACK < goal.needed_per_s:
            found.rule_out(f"{bound.name} cannot serve {goal.needed_per_s:g} requests/s")
            continue
        found.left.append(Candidate(values=values, spec=spec, plan=plan, bound=bound))
    return found


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
        services = self.profile.services(config, num_requests=1, seed=0, speed=self.speed)
        return ceilings(plan, services, self._around(config))

    def _around(self, config: PipelineConfig) -> Surroundings:
        around = self.profile.surroundings(config, cores=self.cores)
        return replace(around, **self.harness._asdict())

    def play(
        self,
        spec: RunSpec,
        mean_interval_ms: float,
        plan: Plan | None = None,
        num_requests: int = NUM_REQUESTS,
    ) -> Run:
        """A run with this mean interval; 0: all requests at once. Raises UsageError for what cannot be
        simulated."""
        spec = spec.with_load(
            mean_interval_ms=mean_interval_ms, videos=num_requests, warmup=0, duration=None, replay=None
        )
        spec, schedule = schedule_of(replace(spec, observe=()))
        config = spec.config.pipeline()
        return simulate(
            spec,
            schedule,
            self.profile.services(config, num_requests=len(schedule), seed=spec.load.seed, speed=self.speed),
            around=self._around(config),
            plan=plan or plan_of(spec, num_requests=len(schedule)),
        )

    def predict(self, goal: Goal, candidate: Candidate) -> Prediction:
        def play(mean_interval_ms: float) -> Run:
            return self.play(candidate.spec, mean_interval_ms, candidate.plan)

        return goal.predict(play, candidate.plan, candidate.bound.per_s * SLACK)


def screen(
    found: Candidates,
    goal: Goal,
    simulator: Simulator,
    *,
    known: dict[Values, Prediction],
    until_s: float,
    tell: Callable[[Values, Prediction], None] = lambda values, prediction: None,
) -> Iterator[int]:
    """Work them out, in order of their bounds; gives how many are still to be looked at.

    `known` is filled; what it holds already is not worked out again. It ends when the time (of
    time.monotonic) is over.
    """
    left = sorted(found.left, key=lambda one: (_size(one, goal), -one.bound.per_s))
    for number, candidate in enumerate(left):
        if candidate.values not in known:
            if time.monotonic() > until_s:
                return
            if _cannot_win(candidate, goal, known):
                found.rule_out(CANNOT_WIN)
                continue
            known[candidate.values] = simulator.predict(goal, candidate)
            tell(candidate.values, known[candidate.values])
        yield len(left) - number - 1


def _size(candidate: Candidate, goal: Goal) -> tuple[int, ...]:
    return uses(candidate.plan) if goal.name == "cost" else ()


def _cannot_win(candidate: Candidate, goal: Goal, known: Mapping[Values, Prediction]) -> bool:
    """Whether one that is known is better than this one can be."""
    if goal.name == "cost":
        met = [(one.num_gpus, one.cores) for one in known.values() if goal.is_met(one)]
        return bool(met) and min(met) < uses(candidate.plan)
    best = max((one.per_s for one in known.values()), default=0.0)
    return goal.name in ("throughput", "rate") and candidate.bound.per_s * SLACK < best
