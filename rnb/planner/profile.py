"""How long the steps of a pipeline take, as samples from real runs, and where those come from.

A profile is a folder: durations.parquet (a row for each sample), requests.parquet (the rows of each request)
and profile.json (machine, code, inputs and runs). It is used again only while those are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnb.contract.termination import UsageError
from rnb.pipeline.config import PipelineConfig, parse_config
from rnb.pipeline.plan import Plan
from rnb.planner.observations import COSTS, Numbers, observe
from rnb.record.run import Run
from rnb.simulation.service_times import Costs, SampledTimes, Samples
from rnb.simulation.simulate import Surroundings

DURATIONS, REQUESTS, FACTS = "durations.parquet", "requests.parquet", "profile.json"
COMPARED = ("cpu", "num_cpus", "gpus", "python", "packages", "commit", "changes", "inputs")
"""What must be the same for a profile to hold, of a run's provenance."""


class Key(NamedTuple):
    """What a duration is of."""

    step: str
    """What `variants` calls it."""
    is_gpu: bool
    kind: str
    rows: int


@dataclass(kw_only=True)
class Profile:
    """Samples of one or more runs of the same pipeline, on one machine."""

    durations: dict[Key, Numbers] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    """Of each request of the run that has most."""
    lateness_ns: int = 0
    demand: dict[tuple[str, bool], float] = field(default_factory=dict)
    """Cores that a call takes, by step and whether it is on a GPU."""
    origin: dict[str, Any] = field(default_factory=dict)
    """COMPARED, of the first run."""
    runs: list[str] = field(default_factory=list)
    """Their folders."""
    _made: dict[tuple[Key, float], tuple[int, Samples]] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        """Take a run's samples in. Raises UsageError for one of another machine, code or input."""
        origin = origin_of(run)
        self.check(origin, str(run.folder))
        self.origin = self.origin or origin
        config = parse_config(run.config, per_gpu_queue=bool(run.args.get("per_gpu_queue")))
        names, seen = variants(config), observe(run)
        for one in seen.durations:
            key = Key(names[one.step], one.is_gpu, one.kind, one.rows)
            before = self.durations.get(key, np.zeros(0, dtype=np.int64))
            self.durations[key] = np.concatenate([before, one.values_ns])
        if len(seen.rows) > len(self.rows):
            self.rows = seen.rows.tolist()
        self.lateness_ns = self.lateness_ns or seen.lateness_ns
        for (step, is_gpu), cores in seen.demand.items():
            self.demand.setdefault((names[step], is_gpu), cores)
        self.runs.append(str(run.folder))

    def check(self, origin: Mapping[str, Any], what: str) -> None:
        """Raises UsageError where this is a profile of something else."""
        for name in COMPARED if self.origin else ():
            if self.origin.get(name) != origin.get(name):
                raise UsageError(
                    f"{what}: {name} is {_short(origin.get(name))}, and in the profile"
                    f" {_short(self.origin.get(name))}; profile anew, without it"
                )

    def missing(self, plan: Plan, config: PipelineConfig) -> list[str]:
        """The steps of a plan that nothing is known of, on the devices where it has them."""
        known = {(key.step, key.is_gpu) for key in self.durations if key.kind == "call"}
        names = variants(config)
        wanted = {(one.step, one.device.is_gpu) for one in plan.replicas}
        return [
            f"step {step} on {'a GPU' if is_gpu else 'the CPU'}"
            for step, is_gpu in sorted(wanted)
            if (names[step], is_gpu) not in known
        ]

    def num_of(self, step: str, kind: str) -> int:
        """How many durations of a kind are known of a step."""
        return sum(
            len(found) for key, found in self.durations.items() if (key.step, key.kind) == (step, kind)
        )

    def services(
        self,
        config: PipelineConfig,
        *,
        num_requests: int,
        seed: int,
        speed: Mapping[int, float] = MappingProxyType({}),
    ) -> SampledTimes:
        """What the calls of a pipeline's steps take; `speed`: how many times as fast a step is to be."""
        found: dict[tuple[int, bool], dict[int, Samples]] = {}
        for index, name in enumerate(variants(config)):
            for key, values in self.durations.items():
                if key.step == name and key.kind == "call" and len(values):
                    of_step = found.setdefault((index, key.is_gpu), {})
                    of_step[key.rows] = self._samples(key, speed.get(index, 1.0))
        return SampledTimes.drawn(found, self.rows, num_requests=num_requests, seed=seed)

    def surroundings(self, config: PipelineConfig, *, cores: float) -> Surroundings:
        """What the harness and the machine do to them."""
        names = variants(config)
        devices = {(index, is_gpu) for index in range(len(names)) for is_gpu in (False, True)}
        return Surroundings(
            costs={index: self._costs(name) for index, name in enumerate(names)},
            lateness_ns=self.lateness_ns,
            capacity={"cpu": cores},
            demand={
                (index, is_gpu): self.demand.get((names[index], is_gpu), 1.0) for index, is_gpu in devices
            },
        )

    def _samples(self, key: Key, speed: float) -> Samples:
        """Made once, as thousands of candidates ask for them."""
        values = self.durations[key]
        made_of, samples = self._made.get((key, speed), (0, None))
        if samples is None or made_of != len(values):
            samples = Samples(values / speed)
            self._made[key, speed] = len(values), samples
        return samples

    def _costs(self, step: str) -> Costs:
        return Costs(
            **{
                key.kind: self._samples(key, 1.0)
                for key, values in self.durations.items()
                if key.step == step and key.kind in COSTS and len(values)
            }
        )


def variants(config: PipelineConfig) -> list[str]:
    """What tells the calls of each step from those of another: its place, its class and its options."""
    return [
        json.dumps([index, step.model, {**step.options, **step.queue_groups[0].options}], sort_keys=True)
        for index, step in enumerate(config.pipeline)
    ]


def origin_of(run: Run) -> dict[str, Any]:
    """What a profile must have in common with a run, as JSON."""
    facts = run.meta.provenance
    found = {name: facts.get(name) for name in COMPARED}
    found["gpus"] = [gpu.get("name") for gpu in facts.get("gpus") or []]
    as_json: dict[str, Any] = json.loads(json.dumps(found))
    return as_json


def profile_of(runs: Iterable[Run]) -> Profile:
    """What earlier runs say, which costs nothing. Raises UsageError."""
    profile = Profile()
    for run in runs:
        profile.add(run)
    return profile


def write(profile: Profile, folder: Path) -> None:
    """Raises UsageError."""
    keys = list(profile.durations)
    counts = [len(profile.durations[key]) for key in keys]
    columns = {
        name: np.repeat(np.array([getattr(key, name) for key in keys], dtype=kind), counts)
        for name, kind in (("step", object), ("is_gpu", bool), ("kind", object), ("rows", np.int64))
    }
    columns["time_ns"] = np.concatenate([profile.durations[key] for key in keys])
    facts = {
        "origin": profile.origin,
        "runs": profile.runs,
        "lateness_ns": profile.lateness_ns,
        "demand": [[*key, cores] for key, cores in profile.demand.items()],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / DURATIONS)
        pq.write_table(pa.table({"rows": profile.rows}), folder / REQUESTS)
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from None


def read(folder: Path) -> Profile:
    """Raises UsageError."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        table = pq.read_table(folder / DURATIONS).to_pydict()
        rows = pq.read_table(folder / REQUESTS)["rows"].to_pylist()
        values: dict[Key, list[int]] = {}
        for *key, time_ns in zip(*(table[name] for name in (*Key._fields, "time_ns")), strict=True):
            values.setdefault(Key(*key), []).append(time_ns)
        return Profile(
            durations={key: np.array(found, dtype=np.int64) for key, found in values.items()},
            rows=rows,
            lateness_ns=facts["lateness_ns"],
            demand={(step, is_gpu): cores for step, is_gpu, cores in facts["demand"]},
            origin=facts["origin"],
            runs=facts["runs"],
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise UsageError(f"{folder}: no profile, or a damaged one: {str(error).splitlines()[0]}") from None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
