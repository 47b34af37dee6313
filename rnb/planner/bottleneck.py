"""Why a placement is as fast as it is, in words: what is busy, and what more of it would give."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rnb.analysis.utilization import mean_shares, worker_utilizations
from rnb.contract.termination import UsageError
from rnb.pipeline.config import ConfigFile
from rnb.planner.ceilings import Ceiling
from rnb.planner.goal import of_run
from rnb.planner.screening import Simulator
from rnb.record.run import Run
from rnb.spec import RunSpec, plan_of

BUSY = 0.9
"""A step whose workers are busy for so much of the time is the bottleneck."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What a change would give."""

    what: str
    per_s: float
    """Requests/s, all at once."""


def bottleneck(run: Run) -> str:
    """What a run, a simulated or a real one, was held up by."""
    shares = {}
    entries = worker_utilizations(run)
    for step in sorted({entry.step for entry in entries}):
        shares[step] = mean_shares([entry for entry in entries if entry.step == step])
    if not shares:
        return "not known"
    busiest = max(shares, key=lambda step: shares[step]["busy"])
    busy = shares[busiest]["busy"]
    name = f"step {busiest} {run.step_names[busiest]}"
    waits = max(shares, key=lambda step: shares[step]["waiting_for_slot"])
    if busy < BUSY and shares[waits]["waiting_for_slot"] > 1 - BUSY:
        share = shares[waits]["waiting_for_slot"]
        return f"step {waits} {run.step_names[waits]} waits for a free slot {share:.0%} of the time"
    return f"{name}: its workers are busy {busy:.0%} of the time"


def gains(spec: RunSpec, simulator: Simulator) -> list[Gain]:
    """What one more replica of each step, or each step twice as fast, would give; the largest first."""
    found = []
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    for index, step in enumerate(pipeline.pipeline):
        name = f"step {index} {step.model.rpartition('.')[2]}"
        if (more := _with_replica(spec, index)) is not None:
            found.append(Gain(what=f"one more replica of {name}", per_s=_per_s(more, simulator)))
        faster = replace(simulator, speed={**simulator.speed, index: 2 * simulator.speed.get(index, 1.0)})
        found.append(Gain(what=f"{name} twice as fast", per_s=_per_s(spec, faster)))
    return sorted(found, key=lambda one: -one.per_s)


def lines(run: Run, ceilings: Sequence[Ceiling], found: Sequence[Gain]) -> list[str]:
    """All of it as text."""
    now_per_s = run.finished.sum() / run.seconds
    shares = [
        f"  step {entry.step} {run.step_names[entry.step]}, replica {entry.replica}, worker {entry.worker}:"
        f" busy {entry.busy:.0%}, waits for input {entry.waiting_for_input:.0%}, for a slot"
        f" {entry.waiting_for_slot:.0%}"
        for entry in worker_utilizations(run)
    ]
    return [
        f"all requests at once: {now_per_s:.4g} requests/s (simulated); {bottleneck(run)}",
        *shares,
        "ceiling of each alone, requests/s:",
        *(f"  {one.name}: {one.per_s:.4g}" for one in ceilings),
        "what more would give (simulated), requests/s:",
        *(f"  {one.what}: {one.per_s:.4g} ({one.per_s / now_per_s - 1:+.1%})" for one in found),
    ]


def _per_s(spec: RunSpec, simulator: Simulator) -> float:
    plan = plan_of(spec.with_load(mean_interval_ms=0), num_requests=1)
    return of_run(simulator.play(spec, 0), plan).per_s


def _with_replica(spec: RunSpec, step: int) -> RunSpec | None:
    """With one more replica, where the step's first one is; None where the step may have no more."""
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    data = copy.deepcopy(pipeline.model_dump(exclude_unset=True, mode="json"))
    gpus = data["pipeline"][step]["queue_groups"][0]["gpus"]
    gpus.append(gpus[0])
    config = ConfigFile(path=spec.config.path, data=data)
    more = replace(spec, config=config, placement=replace(spec.placement, per_gpu_queue=False))
    try:
        plan_of(more.with_load(mean_interval_ms=0), num_requests=1)
    except UsageError:
        return None
    return more
