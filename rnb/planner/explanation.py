"""Why a config is as fast as it is: what each resource does, its ceiling, and what more of it would give."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnb.contract.termination import UsageError
from rnb.pipeline.config import ConfigFile
from rnb.pipeline.step_type import asking_once
from rnb.planner.bottleneck import BUSY, bottleneck
from rnb.planner.ceilings import Ceiling
from rnb.planner.resources import Use, call_ms, uses_of
from rnb.planner.scaling import gpus_of, on_gpus
from rnb.planner.system import Predicted, System

LESS_MS = 1.0
"""By so much a call is supposed to be shorter, where it takes more than that."""
WAITS = 0.05
"""A step that waits for slots for so much of the time may be given more of them."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What a change would give, by simulation."""

    what: str
    predicted: Predicted
    """The p99 is that at the rate of the config as it is."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Of one config; all by simulation."""

    predicted: Predicted
    in_words: str
    """The bottleneck."""
    uses: Sequence[Use]
    """While all requests come at once."""
    ceilings: Sequence[Ceiling]
    gains: Sequence[Gain]
    """The largest first."""

    def to_json(self) -> dict[str, Any]:
        return {
            **self.predicted._asdict(),
            "held_up_by": self.in_words,
            "uses": [one._asdict() for one in self.uses],
            "ceilings": [one._asdict() for one in self.ceilings],
            "gains": [{"what": one.what, **one.predicted._asdict()} for one in self.gains],
        }


def explain(system: System) -> Explanation:
    """Raises UsageError for what cannot be simulated."""
    with asking_once():
        predicted, uses = system.predict(), uses_of(system.at_once)
        shared = [one for one in system.ceilings if not one.name.startswith("step ")]
        found = [
            Gain(what=what, predicted=other.predict(predicted.rate_per_s))
            for what, other in _changes(system, uses)
        ]
        return Explanation(
            predicted=predicted,
            in_words=_in_words(system),
            uses=[*uses, *(Use(one.name, min(1.0, predicted.per_s / one.per_s)) for one in shared)],
            ceilings=system.ceilings,
            gains=sorted(found, key=lambda one: (-one.predicted.per_s, one.predicted.p99_ms)),
        )


def _in_words(system: System) -> str:
    lowest = system.ceilings[0]
    if lowest.name.startswith("step ") or system.per_s < BUSY * lowest.per_s:
        return bottleneck(system.at_once)
    return f"{lowest.name}: no more than {lowest.per_s:,.0f} requests/s"


def _changes(system: System, uses: Sequence[Use]) -> Iterator[tuple[str, System]]:
    """Those that can run."""
    waiting = {one.step for one in uses if one.waiting_for_slot > WAITS}
    for step, name in enumerate(system.plan.step_names):
        of_step = f"step {step} {name}"
        yield from _if_it_runs(f"one more replica of {of_step}", _with_replica(system, step))
        if step in waiting:
            yield from _if_it_runs(f"twice the slots of {of_step}", _with_slots(system, step))
        took_ms = call_ms(system.at_once, step)
        if took_ms > LESS_MS:
            faster = _faster(system, step, took_ms / (took_ms - LESS_MS))
            yield f"{LESS_MS:g} ms less for a call of {of_step} ({took_ms:.3g} ms)", faster
        if took_ms > 0:
            yield f"{of_step} twice as fast", _faster(system, step, 2.0)
    if used := gpus_of(system.spec):
        spec = on_gpus(system.spec, len(used) + 1)
        yield from _if_it_runs("one more GPU, with the same replicas", replace(system, spec=spec))
    if any(one.name == "the CPU's cores" for one in system.ceilings):
        simulator = replace(system.simulator, cores=system.simulator.cores + 1)
        yield "one more core", replace(system, simulator=simulator)


def _faster(system: System, step: int, factor: float) -> System:
    speed = {**system.simulator.speed, step: factor * system.simulator.speed.get(step, 1.0)}
    return replace(system, simulator=replace(system.simulator, speed=speed))


def _with_replica(system: System, step: int) -> System:
    """One more where the step's first one is."""

    def add(step_data: dict[str, Any]) -> None:
        gpus = step_data["queue_groups"][0]["gpus"]
        gpus.append(gpus[0])

    return _edited(system, step, add)


def _with_slots(system: System, step: int) -> System:
    num_slots = system.spec.config.pipeline().pipeline[step].num_shared_tensors

    def add(step_data: dict[str, Any]) -> None:
        step_data["num_shared_tensors"] = 2 * num_slots

    return _edited(system, step, add)


def _edited(system: System, step: int, edit: Any) -> System:
    data = copy.deepcopy(system.spec.config.pipeline().model_dump(exclude_unset=True, mode="json"))
    edit(data["pipeline"][step])
    config = ConfigFile(path=system.spec.config.path, data=data)
    return replace(system, spec=replace(system.spec, config=config))


def _if_it_runs(what: str, system: System) -> Iterator[tuple[str, System]]:
    try:
        assert system.plan
    except UsageError:
        return
    yield what, system
