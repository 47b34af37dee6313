"""What may vary between a config and its candidates, and the candidates themselves."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rnb.contract.device import CPU
from rnb.contract.termination import UsageError
from rnb.pipeline.batcher import Batcher
from rnb.pipeline.config import ConfigFile, parse_config
from rnb.pipeline.step_type import StepType, resolve
from rnb.planner.dimension import AGGREGATE, Dimension
from rnb.planner.forms import Data, Form, forms_of
from rnb.spec import RunSpec, plan_of

BATCH_SIZES = (1, 2, 4, 8, 16)
TIMEOUTS_MS = (0, 2, 10)
SEGMENTS = (1, 2, 3, 4, 6)

Values = tuple[Any, ...]
"""Of a candidate: the number of its form, then one for each of the form's dimensions."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a candidate may use."""

    num_gpus: int
    cores: int


class Variations(NamedTuple):
    """A form, and what may vary of it."""

    form: Form
    dimensions: list[Dimension]

    @property
    def num_candidates(self) -> int:
        return math.prod(len(one.values) for one in self.dimensions)


class Space:
    """All combinations of what may vary, of each form of the pipeline."""

    def __init__(self, spec: RunSpec, limits: Limits) -> None:
        """Raises UsageError for a config that leaves nothing to search."""
        self.spec, self.limits = spec, limits
        self.forms = [self._variations(form) for form in forms_of(spec)]
        self.num_candidates = sum(one.num_candidates for one in self.forms)
        if self.num_candidates == 1:
            raise UsageError(f"{spec.config.path}: there is nothing to vary with {limits.cores} cores")

    @property
    def start(self) -> Values:
        """The config as it is."""
        return self.start_of(0)

    def start_of(self, form: int) -> Values:
        """A form with all else as it is."""
        return (form, *(one.start for one in self.forms[form].dimensions))

    @property
    def dimensions(self) -> list[Dimension]:
        """What may vary of the config's own form."""
        return self.forms[0].dimensions

    def dimensions_of(self, values: Values) -> list[Dimension]:
        return self.forms[values[0]].dimensions

    def candidates(self) -> Iterator[Values]:
        for number, (_, dimensions) in enumerate(self.forms):
            for values in itertools.product(*(one.values for one in dimensions)):
                yield (number, *values)

    def spec_of(self, values: Values) -> RunSpec:
        """The run of a candidate. Raises UsageError where its queues do not fit its replicas."""
        form, dimensions = self.forms[values[0]]
        data = copy.deepcopy(form.data)
        placement: dict[str, Any] = {"per_gpu_queue": False}
        for dimension, value in zip(dimensions, values[1:], strict=True):
            dimension.set(data, placement, value)
        if placement["per_gpu_queue"]:
            data = _with_a_queue_per_gpu(data)
        config = ConfigFile(path=self.spec.config.path, data=data)
        changed = {**placement, "per_gpu_queue": False}  # the long form names the queues
        return replace(self.spec, config=config, placement=replace(self.spec.placement, **changed))

    def is_needless(self, values: Values) -> bool:
        """Whether it is the same as another candidate: a timeout without anything that waits for it, a batch
        size where all that gather count clips."""
        form, dimensions = self.forms[values[0]]
        given = {one.key: value for one, value in zip(dimensions, values[1:], strict=True)}
        changed = {one.key for one in dimensions if given[one.key] != one.start}
        steps = [(step.get("max_clips"), resolve(step["model"])) for step in form.data["pipeline"]]
        by_requests = any(step.batches_requests and not max_clips for max_clips, step in steps)
        if not by_requests and "batch_size" in changed:
            return True
        gathers = given.get("batch_size", 1) > 1 or any(
            max_clips or issubclass(step.cls, Batcher) for max_clips, step in steps
        )
        return not gathers and "batch_timeout_ms" in changed

    def changes(self, values: Values) -> list[str]:
        """What a candidate has otherwise than the start."""
        form, dimensions = self.forms[values[0]]
        found = [form.name] if form.name else []
        for dimension, value in zip(dimensions, values[1:], strict=True):
            if value != dimension.start:
                found.append(f"{dimension.name} {dimension.shown(value)}")
        return found

    def describe(self) -> list[str]:
        """A line for each dimension of the config, and one for each other form."""
        lines = [
            f"  {one.name}: {', '.join(map(one.shown, _few(one.values)))} (now {one.shown(one.start)})"
            for one in self.dimensions
            if len(one.values) > 1
        ]
        others = [f"  or {one.form.name}: {one.num_candidates:,} candidates" for one in self.forms[1:]]
        return [*lines, *others]

    def _variations(self, form: Form) -> Variations:
        steps = form.data["pipeline"]
        dimensions = [one for index in range(len(steps)) for one in self._of_step(steps, index)]
        dimensions += self._of_run(steps)
        data = copy.deepcopy(form.data)
        for step in data["pipeline"]:
            for part in (step, *step["queue_groups"]):
                part.pop("choices", None)
        return Variations(form._replace(data=data), dimensions)

    def _of_step(self, steps: Sequence[Data], index: int) -> Iterator[Dimension]:
        """What the config lists goes before what is usual."""
        step, step_type, name = steps[index], resolve(steps[index]["model"]), f"step {index}"
        listed = dict(step.get("choices", {}))
        of_groups = self._usual_of_groups(step, step_type)
        if "gpus" in listed and len(step["queue_groups"]) == 1:
            of_groups[0] = {**of_groups[0], "gpus": listed.pop("gpus")}
        for number, group in enumerate(step["queue_groups"]):
            where = name if len(of_groups) == 1 else f"{name} group {number}"
            for key, choices in {**of_groups[number], **group.get("choices", {})}.items():
                shown = {"gpus": "replicas"}.get(key, key)
                yield Dimension(
                    name=f"{where} {shown}", step=index, group=number, key=key, choices=choices,
                    now=group.get(key),
                )  # fmt: skip
        for key, choices in {**self._usual_of_step(steps, index), **listed}.items():
            shown = {"num_shared_tensors": "slots", "num_segments": "segments"}.get(key, key)
            yield Dimension(
                name=f"{name} {shown}", step=index, key=key, choices=choices,
                now=step.get(key, 1 if key == "num_segments" else None),
                joined_by=_told_how_many(steps, index) if key == "num_segments" else None,
            )  # fmt: skip

    def _usual_of_groups(self, step: Data, step_type: StepType) -> list[Data]:
        groups = step["queue_groups"]
        if step_type.joins_segments or issubclass(step_type.cls, Batcher):
            return [{} for _ in groups]
        may_be_beside = len(groups) == 1 and self._runs_on_cpu(step, step_type)
        return [
            {"gpus": sorted(
                {tuple(group["gpus"]), *self._placements(group["gpus"], with_cpu=may_be_beside)},
                key=lambda value: (len(value), value),
            )}
            for group in groups
        ]  # fmt: skip

    def _runs_on_cpu(self, step: Data, step_type: StepType) -> bool:
        """Whether a step that is on GPUs may have replicas on the CPU, too."""
        if self.spec.placement.device == "cpu":
            return False  # it is there already
        options = {name: value for name, value in step.items() if name in step_type.cls.Options.model_fields}
        try:
            step_type.cls.check_machine(step_type.cls.Options.model_validate(options), CPU)
        except ValueError:
            return False
        return True

    def _usual_of_step(self, steps: Sequence[Data], index: int) -> Data:
        step = steps[index]
        found: Data = {}
        if self.spec.placement.device != "cpu" and any(
            gpu >= 0 for group in step["queue_groups"] for gpu in group["gpus"]
        ):
            found["workers"] = [step.get("workers"), 1, 2, 4]
        if clips := step.get("max_clips"):
            found["max_clips"] = [max(1, clips // 2), clips, 2 * clips]
        if _may_split(steps, index):
            found["num_segments"] = sorted({step.get("num_segments", 1), *SEGMENTS})
        elif "num_shared_tensors" in step and index < len(steps) - 1:
            found["num_shared_tensors"] = [step["num_shared_tensors"], 2 * step["num_shared_tensors"]]
        return found

    def _of_run(self, steps: Sequence[Data]) -> Iterator[Dimension]:
        placement = self.spec.placement
        if any(resolve(step["model"]).batches_requests for step in steps):
            size, timeout_ms = placement.batch_size, placement.batch_timeout_ms
            yield Dimension(name="-b", key="batch_size", choices=sorted({size, *BATCH_SIZES}), now=size)
            yield Dimension(
                name="-bt", key="batch_timeout_ms", choices=sorted({timeout_ms, *TIMEOUTS_MS}), now=timeout_ms
            )
        are_plain = _joiner(steps, 0) is None and all(
            len(step["queue_groups"]) == 1 and max(step["queue_groups"][0]["gpus"]) >= 0 for step in steps
        )
        if self.limits.num_gpus > 1 and len(steps) > 1 and are_plain:
            yield Dimension(name="a queue per GPU", key="per_gpu_queue", choices=[False, True], now=False)

    def _placements(self, gpus: Sequence[int], *, with_cpu: bool) -> Iterator[tuple[int, ...]]:
        """Other replicas on the kinds of devices that the step may be on."""
        counts = [0, *_counts(self.limits.cores)]
        on_gpu = range(self.limits.num_gpus) if any(gpu >= 0 for gpu in gpus) else ()
        may_be_on_cpu = min(gpus) < 0 or with_cpu
        for each, on_cpu in itertools.product(counts if on_gpu else [0], counts if may_be_on_cpu else [0]):
            if placement := (*(gpu for gpu in on_gpu for _ in range(each)), *[-1] * on_cpu):
                yield placement


def _counts(most: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, … up to `most`, and that."""
    found = {count for power in range(1, 8) for count in (2**power // 2, 3 * 2**power // 4) if count}
    return sorted(count for count in {*found, 3, most} if count <= most)


def _joiner(steps: Sequence[Data], index: int) -> int | None:
    """The step after this one that joins segments."""
    later = range(index + 1, len(steps))
    return next((number for number in later if resolve(steps[number]["model"]).joins_segments), None)


def _told_how_many(steps: Sequence[Data], index: int) -> int | None:
    """The step that joins, if its options say of how many segments."""
    joiner = _joiner(steps, index)
    fields = resolve(steps[joiner or 0]["model"]).cls.Options.model_fields
    return joiner if AGGREGATE in fields else None


def _may_split(steps: Sequence[Data], index: int) -> bool:
    """Whether it is the one whose requests a later step joins; the first one where none splits them yet."""
    if _joiner(steps, index) is None:
        return False
    splitting = [number for number, step in enumerate(steps) if step.get("num_segments", 1) > 1]
    return index == (splitting or [0])[0]


def _with_a_queue_per_gpu(data: Data) -> Data:
    """Raises ConfigError where the steps are not on the same GPUs."""
    steps = [
        {**{key: value for key, value in step.items() if key != "queue_groups"}, **step["queue_groups"][0]}
        for step in data["pipeline"]
    ]
    plain = [
        {key: value for key, value in step.items() if key not in ("in_queue", "out_queues")} for step in steps
    ]
    config = parse_config({**data, "pipeline": plain}, per_gpu_queue=True)
    return config.model_dump(exclude_unset=True, mode="json")


def _few(values: Sequence[Any], most: int = 12) -> Sequence[Any]:
    """Not more than a line can take."""
    return values if len(values) <= most else [*values[: most - 1], values[-1]]


def problem_of(spec: RunSpec, *, num_requests: int) -> str:
    """Why a candidate cannot run; empty when it can."""
    try:
        plan_of(spec, num_requests=num_requests)
    except UsageError as error:
        return str(error)
    return ""
