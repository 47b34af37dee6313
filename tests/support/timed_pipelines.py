"""Pipelines drawn from a seed whose calls take known times, and what a simulation must foresee of them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnb.analysis.calls import calls_of, visits_of
from rnb.pipeline.plan import ReplicaPlan
from rnb.planner.observations import observe
from rnb.record.run import Run
from rnb.simulation.service_times import Costs, Samples
from rnb.simulation.simulate import Surroundings
from rnb.spec import RunSpec
from tests.support.known_times import spec_of, step
from tests.support.timed_steps import call_ms, rows_of

MOST_PROCESSES = 6
BATCHER = "rnb.pipeline.batcher.Batcher"


def draw(seed: int) -> RunSpec:
    """Up to 4 steps with replicas, batches, segments, few slots; all requests at once, its rate to be set."""
    lots = random.Random(seed)
    batch_size = lots.choice([1, 1, 2, 4])
    steps = [step(lots.choice(["Source", "SourceInPlace"]), **_times(lots))]
    kind = lots.choice(["plain", "plain", "segments", "batcher"])
    if kind == "segments":
        steps[0]["num_segments"] = lots.choice([2, 3])
        steps += [step("ChangeOne", **_times(lots)), step("Join", fixed_ms=lots.uniform(0.5, 2))]
    elif kind == "batcher":
        steps.append(step(BATCHER, batch=lots.choice([2, 3])))
        steps.append(step("Change", **_times(lots)))
    else:
        for _ in range(lots.choice([0, 1, 1, 2, 3])):
            steps.append(step(lots.choice(["Change", "ChangeOne"]), **_times(lots)))
    if not any(one["model"].endswith(".Change") for one in steps):
        batch_size = 1
    for one in steps:
        if one["model"].endswith(".Change") and lots.random() < 0.3:
            one["max_clips"] = lots.choice([18, 24]) if kind == "batcher" else lots.choice([8, 12])
    for one in steps[:-1]:
        one["num_shared_tensors"] = max(batch_size, one.get("num_segments", 1)) + lots.choice([0, 1, 3, 8])
    free = MOST_PROCESSES - len(steps)
    for one in steps:
        if not one["model"].endswith((".Join", ".Batcher")):
            more = lots.randint(0, min(2, free))
            one["gpus"], free = [0] * (1 + more), free - more
    placement = {"batch_size": batch_size, "batch_timeout_ms": lots.choice([2, 10, 20])}
    return spec_of(*steps, placement=placement, seed=seed)


def _times(lots: random.Random) -> dict[str, Any]:
    return {"fixed_ms": round(lots.uniform(4, 12), 1), "row_ms": round(lots.uniform(0, 2), 1)}


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Calls take what their step's options say, and what the machine adds to that."""

    steps: list[dict[str, Any]]
    added: Samples | None = None
    """Drawn from for each call."""
    added_ns: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    """By step and request, where that is known."""

    def rows_of(self, request: int) -> int:
        return rows_of(request)

    def call_ns(self, replica: ReplicaPlan, rows: int, request: int) -> int:
        added_ns = self.added_ns.get(replica.step, {}).get(request)
        if added_ns is None:
            uniform = (request * 0.6180339887 + 0.37 * replica.step) % 1
            added_ns = self.added.draw(uniform) if self.added else 0.0
        if self.steps[replica.step]["model"] == BATCHER:
            return 0
        return round(1e6 * call_ms(self.steps[replica.step], rows) + added_ns)


def steps_of(spec: RunSpec) -> list[dict[str, Any]]:
    return [{"fixed_ms": 0, "row_ms": 0, **one} for one in spec.config.data["pipeline"]]


def added_ns(run: Run) -> dict[int, dict[int, float]]:
    """What each call took longer than it should, by step and request."""
    found: dict[int, dict[int, float]] = {}
    for number, options in enumerate([{"fixed_ms": 0, "row_ms": 0, **one} for one in run.config["pipeline"]]):
        if options["model"] == BATCHER:
            continue
        visits = visits_of(run, number)
        calls = calls_of(visits)
        num_segments = max(one.get("num_segments", 1) for one in run.config["pipeline"][:number] or [{}])
        is_split = num_segments > 1 and not options["model"].endswith(".Join")
        requests = visits.request[calls.members]
        rows = np.array([rows_of(request) for request in requests.tolist()])
        if is_split:
            segments = visits.segment[calls.members]
            rows = rows // num_segments + (segments < rows % num_segments)
        of_call = np.add.reduceat(rows, calls.offsets[:-1])
        if options["model"].endswith(".Join"):
            of_call[:] = 0  # it takes no time by the row
        known_ns = np.array([1e6 * call_ms(options, int(count)) for count in of_call])
        added = calls.finish_ns - calls.start_ns - known_ns
        each = dict[int, list[float]]()
        for request, value in zip(requests.tolist(), added[calls.of_member].tolist(), strict=True):
            each.setdefault(request, []).append(value)
        found[number] = {request: float(np.mean(values)) for request, values in each.items()}
    return found


def surroundings_of(run: Run, steps: Sequence[int]) -> Surroundings:
    """What the harness cost in a run. `steps`: of each step of a pipeline, which of the run's is like it;
    what was not seen of that one is taken from all together."""
    seen = observe(run)
    values: dict[tuple[str, int | None], list[Any]] = {}
    for one in seen.durations:
        if one.kind != "call":
            values.setdefault((one.kind, one.step), []).append(one.values_ns)
            values.setdefault((one.kind, None), []).append(one.values_ns)
    samples = {key: Samples(np.concatenate(parts)) for key, parts in values.items()}

    def costs_like(step: int) -> Costs:
        kinds = {kind for kind, _ in samples}
        return Costs(**{kind: samples.get((kind, step), samples[kind, None]) for kind in kinds})

    costs = {number: costs_like(step) for number, step in enumerate(steps)}
    return Surroundings(costs=costs, lateness_ns=seen.lateness_ns)
