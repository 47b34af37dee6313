"""What may vary between a config and its candidates, and the candidates themselves."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnb.contract.termination import UsageError
from rnb.pipeline.batcher import Batcher
from rnb.pipeline.config import ConfigFile
from rnb.pipeline.step_type import resolve
from rnb.spec import RunSpec, plan_of

MOST_CANDIDATES = 50_000
BATCH_SIZES = (1, 2, 4, 8, 16)
TIMEOUTS_MS = (0, 2, 10)

Values = tuple[Any, ...]
"""Of a candidate: one for each dimension of the space."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One thing that may vary."""

    name: str
    """As tables show it."""
    step: int | None
    """None: of the whole run."""
    key: str
    """Of the step's config, or of the run's flags."""
    values: Sequence[Any]
    start: Any
    """What the config has now."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a candidate may use."""

    num_gpus: int
    cores: int


class Space:
    """All combinations of what may vary."""

    def __init__(self, spec: RunSpec, limits: Limits) -> None:
        """Raises UsageError for a config that leaves nothing to search, or too much."""
        self.spec, self.limits = spec, limits
        self._data = _in_long_form(spec)
        self.dimensions = [*self._of_steps(), *self._of_run()]
        self.num_candidates = math.prod(len(one.values) for one in self.dimensions)
        if self.num_candidates == 1:
            raise UsageError(f"{spec.config.path}: there is nothing to vary with {limits.cores} cores")
        if self.num_candidates > MOST_CANDIDATES:
            raise UsageError(
                f"{spec.config.path}: {self.num_candidates:,} candidates, of at most {MOST_CANDIDATES:,};"
                " name fewer choices, or allow fewer --cores or --gpus"
            )

    @property
    def start(self) -> Values:
        """The config as it is."""
        return tuple(one.start for one in self.dimensions)

    def candidates(self) -> Iterator[Values]:
        return itertools.product(*(one.values for one in self.dimensions))

    def spec_of(self, values: Values) -> RunSpec:
        """The run of a candidate."""
        data = copy.deepcopy(self._data)
        placement = replace(self.spec.placement, per_gpu_queue=False)  # the long form names the queues
        for dimension, value in zip(self.dimensions, values, strict=True):
            if dimension.step is None:
                placement = replace(placement, **{dimension.key: value})
            elif dimension.key == "gpus":
                data["pipeline"][dimension.step]["queue_groups"][0]["gpus"] = list(value)
            elif value is not None:
                data["pipeline"][dimension.step][dimension.key] = value
            else:
                data["pipeline"][dimension.step].pop(dimension.key, None)
        config = ConfigFile(path=self.spec.config.path, data=data)
        return replace(self.spec, config=config, placement=placement)

    def changes(self, values: Values) -> list[str]:
        """What a candidate has otherwise than the start."""
        found = []
        for dimension, value in zip(self.dimensions, values, strict=True):
            if value != dimension.start:
                found.append(f"{dimension.name} {_shown(dimension, value)}")
        return found

    def describe(self) -> list[str]:
        """A line for each dimension."""
        return [
            f"  {one.name}: {', '.join(_shown(one, value) for value in one.values)}"
            f" (now {_shown(one, one.start)})"
            for one in self.dimensions
            if len(one.values) > 1
        ]

    def _of_steps(self) -> Iterator[Dimension]:
        steps = self._data["pipeline"]
        for index, step in enumerate(steps):
            step_type, name = resolve(step["model"]), f"step {index}"
            groups = step["queue_groups"]
            if len(groups) == 1 and not step_type.joins_segments and not issubclass(step_type.cls, Batcher):
                gpus = tuple(groups[0]["gpus"])
                values = sorted({gpus, *self._placements(gpus)}, key=lambda value: (len(value), value))
                yield Dimension(name=f"{name} replicas", step=index, key="gpus", values=values, start=gpus)
            if any(gpu >= 0 for gpu in groups[0]["gpus"]) and self.spec.placement.device != "cpu":
                workers = step.get("workers")
                yield Dimension(
                    name=f"{name} workers", step=index, key="workers", start=workers,
                    values=_with(workers, [1, 2, 4]),
                )  # fmt: skip
            if step.get("max_clips"):
                clips = step["max_clips"]
                yield Dimension(
                    name=f"{name} max_clips", step=index, key="max_clips", start=clips,
                    values=_with(clips, [max(1, clips // 2), 2 * clips]),
                )  # fmt: skip
            if step.get("num_segments", 1) == 1 and index < len(steps) - 1 and "num_shared_tensors" in step:
                slots = step["num_shared_tensors"]
                yield Dimension(
                    name=f"{name} slots", step=index, key="num_shared_tensors", start=slots,
                    values=_with(slots, [2 * slots]),
                )  # fmt: skip
            for option, choices in self._choices[index].items():
                start = step.get(option)
                yield Dimension(
                    name=f"{name} {option}", step=index, key=option, start=start, values=_with(start, choices)
                )

    @property
    def _choices(self) -> list[dict[str, list[Any]]]:
        return [one.choices for one in self.spec.config.pipeline().pipeline]

    def _of_run(self) -> Iterator[Dimension]:
        placement = self.spec.placement
        if any(resolve(step["model"]).batches_requests for step in self._data["pipeline"]):
            size, timeout_ms = placement.batch_size, placement.batch_timeout_ms
            yield Dimension(
                name="-b", step=None, key="batch_size", start=size, values=_with(size, BATCH_SIZES)
            )
            yield Dimension(
                name="-bt", step=None, key="batch_timeout_ms", start=timeout_ms,
                values=_with(timeout_ms, TIMEOUTS_MS),
            )  # fmt: skip

    def _placements(self, gpus: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Other replicas on the kinds of devices that the step is on already."""
        counts = [0, *_counts(self.limits.cores)]
        on_gpu = range(self.limits.num_gpus) if any(gpu >= 0 for gpu in gpus) else ()
        for each, on_cpu in itertools.product(counts if on_gpu else [0], counts if min(gpus) < 0 else [0]):
            if placement := (*(gpu for gpu in on_gpu for _ in range(each)), *[-1] * on_cpu):
                yield placement


def _counts(most: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, … up to `most`, and that."""
    found = {count for power in range(1, 8) for count in (2**power // 2, 3 * 2**power // 4) if count}
    return sorted(count for count in {*found, 3, most} if count <= most)


def _with(start: Any, values: Sequence[Any]) -> list[Any]:
    return [start, *(value for value in values if value != start)]


def _shown(dimension: Dimension, value: Any) -> str:
    if dimension.key != "gpus":
        return str(value)
    parts = [f"{value.count(gpu)} on {'the CPU' if gpu < 0 else f'GPU {gpu}'}" for gpu in sorted(set(value))]
    return " + ".join(parts)


def _in_long_form(spec: RunSpec) -> dict[str, Any]:
    """The config with queue groups, as JSON, without what optimize.py alone looks at."""
    pipeline = spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue)
    data = pipeline.model_dump(exclude_unset=True, mode="json")
    for step in data["pipeline"]:
        step.pop("choices", None)
    return dict(data)


def problem_of(spec: RunSpec, *, num_requests: int) -> str:
    """Why a candidate cannot run; empty when it can."""
    try:
        plan_of(spec, num_requests=num_requests)
    except UsageError as error:
        return str(error)
    return ""
