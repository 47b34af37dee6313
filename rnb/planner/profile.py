"""How long the steps of a pipeline take, as samples from real runs, and where those come from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnb.pipeline.config import PipelineConfig, parse_config
from rnb.pipeline.plan import Plan
from rnb.planner.key import Key, Pictures, variants
from rnb.planner.observations import COSTS, Numbers, observe, opening_step
from rnb.planner.origin import Origin, check, merged, origin_of
from rnb.planner.slowing import Slowing, slowing_of
from rnb.record.run import Run
from rnb.simulation.service_times import Costs, SampledTimes, Samples
from rnb.simulation.simulate import Surroundings


@dataclass(kw_only=True)
class Profile:
    """Samples of one or more runs of the same pipeline, on one machine."""

    durations: dict[Key, Numbers] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    """Of each request of the run that has most."""
    pictures: list[Pictures] = field(default_factory=list)
    """Of the same requests; empty: not told."""
    lateness_ns: int = 0
    demand: dict[tuple[str, bool], float] = field(default_factory=dict)
    """Cores that a call takes, by step and whether it is on a GPU."""
    origin: Origin = field(default_factory=dict)
    """See rnb.planner.origin."""
    runs: list[str] = field(default_factory=list)
    """Their folders."""
    peaks: dict[tuple[str, bool, int], int] = field(default_factory=dict)
    """Bytes that a replica held or peaked at, by step, whether it is on a GPU, and rows in the call."""
    crowds: dict[tuple[str, bool], int] = field(default_factory=dict)
    """Most workers that a step had in a run, on GPUs or on the CPU."""
    gpu_bytes: int | None = None
    """Memory of the smallest GPU; None: not told."""
    _made: dict[Any, Any] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        """Take a run's samples in. Raises UsageError for one of another machine, code or input."""
        found = origin_of(run)
        self.check(found, str(run.folder))
        self.origin = merged(self.origin, found)
        config = parse_config(run.config, per_gpu_queue=bool(run.args.get("per_gpu_queue")))
        names, seen = variants(config), observe(run)
        for one in seen.durations:
            key = Key(
                names[one.step],
                one.is_gpu,
                one.kind,
                one.rows,
                one.workers,
                one.busy,
                *one.pictures,
                one.crowd,
            )
            before = self.durations.get(key, np.zeros(0, dtype=np.int64))
            self.durations[key] = np.concatenate([before, one.values_ns])
        if len(seen.rows) > len(self.rows):
            self.rows, self.pictures = seen.rows.tolist(), seen.pictures
        self.lateness_ns = self.lateness_ns or seen.lateness_ns
        for (step, is_gpu), cores in seen.demand.items():
            known = self.demand.get((names[step], is_gpu), 0.0)
            self.demand[names[step], is_gpu] = max(known, cores)  # less where it had to share its core
        for (step, is_gpu, rows), peak in seen.peaks.items():
            at = names[step], is_gpu, rows
            self.peaks[at] = max(self.peaks.get(at, 0), peak)
        replicas = (
            (one["step"], one.get("device", "cpu") != "cpu", one.get("workers", 1))
            for one in run.meta.replicas
        )
        for (step, is_gpu), count in crowds_of(replicas).items():
            known = self.crowds.get((names[step], is_gpu), 0)
            self.crowds[names[step], is_gpu] = max(known, count)
        sizes = [gpu.get("total_memory_bytes") for gpu in run.meta.provenance.get("gpus") or []]
        self.gpu_bytes = min((int(size) for size in sizes if size), default=self.gpu_bytes)
        self.runs.append(str(run.folder))
        self._made.clear()

    def check(self, other: Origin, what: str) -> None:
        """Raises UsageError where this is a profile of something else."""
        check(self.origin, other, what)

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
        plan: Plan,
        config: PipelineConfig,
        *,
        num_requests: int,
        seed: int,
        speed: Mapping[int, float] = MappingProxyType({}),
    ) -> SampledTimes:
        """What the calls of a pipeline's steps take alone; `speed`: how many times as fast a step is."""
        workers = {(one.step, one.device.is_gpu): one.workers for one in plan.replicas}
        found: dict[tuple[int, bool], Mapping[int, Samples]] = {}
        of_inputs: dict[tuple[int, bool, Pictures], Mapping[int, Samples]] = {}
        different = set(self.pictures)
        opening = opening_step(one.model for one in config.pipeline)
        for index, name in enumerate(variants(config)):
            for is_gpu in (False, True):
                asked = _Asked(name, is_gpu, workers.get((index, is_gpu), 1), speed.get(index, 1.0))
                if of_rows := self._calls(asked):
                    found[index, is_gpu] = of_rows
                for pictures in different if index == opening and len(different) > 1 else ():
                    if of_rows := self._calls(asked._replace(pictures=pictures)):
                        of_inputs[index, is_gpu, pictures] = of_rows
        return SampledTimes.drawn(
            found, self.rows, num_requests=num_requests, seed=seed, inputs=self.pictures, of_inputs=of_inputs
        )

    def surroundings(self, plan: Plan, config: PipelineConfig, *, cores: float) -> Surroundings:
        """What the harness and the machine do to them."""
        names = variants(config)
        devices = {(index, is_gpu) for index in range(len(names)) for is_gpu in (False, True)}
        return Surroundings(
            costs={index: self._costs(name) for index, name in enumerate(names)},
            lateness_ns=self.lateness_ns,
            capacity={"cpu": cores, **{f"{of}:{gpu}": 1.0 for gpu in plan.gpus for of in ("cuda", "nvdec")}},
            demand={(index, is_gpu): self._demand_of(names[index], is_gpu) for index, is_gpu in devices},
            lock={(index, is_gpu): self._slowing(names[index], is_gpu).lock for index, is_gpu in devices},
            crowding={
                (index, is_gpu): self._slowing(names[index], is_gpu).crowd for index, is_gpu in devices
            },
            host={index: self.demand.get((name, True), 0.0) for index, name in enumerate(names)},
        )

    def too_large(self, plan: Plan, config: PipelineConfig) -> int | None:
        """The GPU whose memory the replicas on it would not fit into, by what they held in the profile; None:
        they fit, or nothing says how large they are."""
        names = variants(config)
        for gpu in plan.gpus if self.gpu_bytes else ():
            here = [one for one in plan.replicas if one.device.index == gpu and one.device.is_gpu]
            needed = [self.peak_bytes(names[one.step], True, one.most_rows) for one in here]
            if sum(one for one in needed if one) > (self.gpu_bytes or 0):
                return gpu
        return None

    def _demand_of(self, name: str, is_gpu: bool) -> float:
        """What a call takes of its device while it runs alone: cores, or the share of a GPU."""
        if not is_gpu and (name, False) in self.demand:
            return self.demand[name, False]
        shared = self._slowing(name, is_gpu).device
        if not shared or not math.isfinite(self._capacity(is_gpu)):
            return 0.0 if is_gpu else 1.0
        return shared * self._capacity(is_gpu)

    def _slowing(self, name: str, is_gpu: bool) -> Slowing:
        found: Slowing = self._once(("slowing", name, is_gpu), lambda: slowing_of(self._keys(name, is_gpu)))
        return found

    def _capacity(self, is_gpu: bool) -> float:
        """Of the machine that the runs were played on: its cores, or a GPU."""
        return 1.0 if is_gpu else float(self.origin.get("num_cpus") or math.inf)

    def _keys(self, name: str, is_gpu: bool) -> dict[Key, Numbers]:
        return {
            key: values
            for key, values in self.durations.items()
            if (key.step, key.is_gpu, key.kind) == (name, is_gpu, "call") and len(values)
        }

    def _calls(self, asked: _Asked) -> Mapping[int, Samples]:
        of_rows: Mapping[int, Samples] = self._once(asked, lambda: self._make_calls(asked))
        return of_rows

    def _make_calls(self, asked: _Asked) -> Mapping[int, Samples]:
        """By rows; what was seen with the nearest number of workers, as it would be alone on its device."""
        keys = self._keys(asked.name, asked.is_gpu)
        if asked.pictures is not None:
            keys = {key: values for key, values in keys.items() if key.pictures == asked.pictures}
        share = self._demand_of(asked.name, asked.is_gpu) / self._capacity(asked.is_gpu)
        slowing = self._slowing(asked.name, asked.is_gpu)._replace(device=share)
        parts: dict[int, list[NDArray[np.float64]]] = {}
        nearest = min((abs(key.workers - asked.workers) for key in keys), default=0)
        for key, values in keys.items():
            if abs(key.workers - asked.workers) == nearest:
                slowdown = slowing.of(key.busy, key.workers, key.crowd)
                parts.setdefault(key.rows, []).append(values / slowdown / asked.speed)
        return {rows: Samples(np.concatenate(found)) for rows, found in parts.items()}

    def _once(self, asked: Any, make: Callable[[], Any]) -> Any:
        """Made once, as thousands of candidates ask for the same."""
        if asked not in self._made:
            self._made[asked] = make()
        return self._made[asked]

    def peak_bytes(self, name: str, is_gpu: bool, rows: int) -> float | None:
        """What a replica of a step needs in calls of so many rows: of the next larger ones that were seen, or
        in proportion to the largest; None where nothing was."""
        seen = sorted(
            (at, peak) for (step, gpu, at), peak in self.peaks.items() if (step, gpu) == (name, is_gpu)
        )
        if not seen:
            return None
        enough = [peak for at, peak in seen if at >= rows]
        return float(enough[0]) if enough else seen[-1][1] * rows / max(1, seen[-1][0])

    def _costs(self, step: str) -> Costs:
        return Costs(
            **{
                key.kind: self._once(key, functools.partial(Samples, values))
                for key, values in self.durations.items()
                if key.step == step and key.kind in COSTS and len(values)
            }
        )


def crowds_of(replicas: Iterable[tuple[int, bool, int]]) -> dict[tuple[int, bool], int]:
    """How many workers each step has on GPUs and on the CPU, of step, device and workers by replica."""
    found: dict[tuple[int, bool], int] = {}
    for step, is_gpu, workers in replicas:
        found[step, is_gpu] = found.get((step, is_gpu), 0) + workers
    return found


class _Asked(NamedTuple):
    """What `_calls` is asked."""

    name: str
    is_gpu: bool
    workers: int
    speed: float
    pictures: Pictures | None = None


def profile_of(runs: Iterable[Run]) -> Profile:
    """What earlier runs say, which costs nothing. Raises UsageError."""
    profile = Profile()
    for run in runs:
        profile.add(run)
    return profile
