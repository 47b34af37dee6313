"""The resolved plan of a run: which replicas, on which devices, joined by which queues and slots.

It is worked out from the config and the command line before any process starts, and `--check` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from rnb.config import ConfigError, PipelineConfig, QueueGroup, StepConfig, unknown_option
from rnb.devices import device_of
from rnb.importer import accepted, import_class, parameters, takes_any_option
from rnb.message import split_rows
from rnb.slots import SlotLayout
from rnb.step import Shapes

POLLING_S = 0.02
"""An idle core takes 50 to 300 us to wake up, one that looks often 30."""


@dataclass(frozen=True, kw_only=True)
class QueuePlan:
    name: str
    capacity: int
    num_writers: int
    num_readers: int


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """The slots that one replica writes."""

    name: str
    device: torch.device
    num_slots: int
    layout: SlotLayout


@dataclass(frozen=True, kw_only=True)
class ReplicaPlan:
    """One runner process. Queues and pools are indices into the plan's lists."""

    step: int
    replica: int
    """Index among the replicas of the step."""
    gpu: int
    replica_on_gpu: int
    """Index among the step's replicas on the same GPU."""
    device: torch.device
    model: str
    options: dict[str, Any]
    workers: int
    batch_size: int
    """Most requests in a call."""
    max_clips: int | None
    """Most clips in a call; None = as many as the requests have."""
    in_queue: int
    out_queues: tuple[int, ...]
    selector: str
    in_pools: tuple[int, ...]
    out_pool: int | None
    num_segments: int
    writes_in_place: bool
    """Whether the step writes its output straight into a slot."""
    input_shapes: Shapes | None
    """The largest input of one message."""

    @property
    def most_rows(self) -> int:
        """Rows of the largest call; 0 without input tensors."""
        if not self.input_shapes:
            return 0
        return self.max_clips or self.input_shapes[0][0] * self.batch_size

    @property
    def name(self) -> str:
        """Step and replica, as messages and process lists name them."""
        return f"step {self.step}.{self.replica}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    queues: list[QueuePlan]
    pools: list[PoolPlan]
    replicas: list[ReplicaPlan]
    events: tuple[str, ...]
    step_names: tuple[str, ...]
    """The class name of each step."""

    @property
    def num_steps(self) -> int:
        return len(self.step_names)


@dataclass(kw_only=True)
class _Builder:
    config: PipelineConfig
    mode: str
    context_options: Mapping[str, Any]
    batch_size: int
    queue_capacity: int
    num_clients: int
    queues: list[QueuePlan] = field(default_factory=list)
    pools: list[PoolPlan] = field(default_factory=list)
    replicas: list[ReplicaPlan] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def build(self) -> Plan:
        classes = [self._step_class(index) for index in range(len(self.config.pipeline))]
        split = _segments_before_each_step(self.config, classes)
        self._check_batching(classes)
        num_filename_readers = sum(len(group.gpus) for group in self.config.pipeline[0].queue_groups)
        self._add_queue("filename queue", num_writers=self.num_clients, num_readers=num_filename_readers)
        in_queues: dict[int | None, int] = {None: 0}
        in_pools: tuple[int, ...] = ()
        shapes: Shapes | None = None
        for index, cls in enumerate(classes):
            out_queues = self._add_queues_after(index)
            first_pool = len(self.pools)
            shapes = self._add_step(index, cls, shapes, in_queues, out_queues, in_pools)
            in_queues, in_pools = {**out_queues}, tuple(range(first_pool, len(self.pools)))
            self.events += _step_events(
                self.replicas[-1], split[index], joins=getattr(cls, "joins_segments", False)
            )
        names = tuple(cls.__name__ for cls in classes)
        return Plan(
            queues=self.queues,
            pools=self.pools,
            replicas=self.replicas,
            events=("scheduled", "enqueue_filename", *self.events),
            step_names=names,
        )

    def _step_class(self, index: int) -> type[Any]:
        try:
            cls = import_class(self.config.pipeline[index].model)
        except ValueError as error:
            raise ConfigError(f"pipeline[{index}].model", str(error)) from None
        for number, group in enumerate(self.config.pipeline[index].queue_groups):
            _check_options(cls, index, number, group, self.config.pipeline[index])
            _check_selector(f"pipeline[{index}].queue_groups[{number}]", group)
        return cls

    def _check_batching(self, classes: list[type[Any]]) -> None:
        if self.batch_size > 1 and not any(getattr(cls, "batches_requests", False) for cls in classes):
            names = ", ".join(cls.__name__ for cls in classes)
            raise ConfigError(
                "-b", f"{self.batch_size}: no step of this pipeline takes several requests ({names})"
            )

    def _add_queue(self, name: str, *, num_writers: int, num_readers: int) -> int:
        self.queues.append(
            QueuePlan(
                name=name, capacity=self.queue_capacity, num_writers=num_writers, num_readers=num_readers
            )
        )
        return len(self.queues) - 1

    def _add_queues_after(self, index: int) -> dict[int | None, int]:
        """The queues between a step and the next: their index in the config to their index in the plan."""
        if index == len(self.config.pipeline) - 1:
            return {}
        groups, readers = (
            self.config.pipeline[index].queue_groups,
            self.config.pipeline[index + 1].queue_groups,
        )
        numbers = sorted({queue for group in groups for queue in group.out_queues or ()})
        return {
            number: self._add_queue(
                f"frame queue {number} between steps {index} and {index + 1}",
                num_writers=sum(len(group.gpus) for group in groups if number in (group.out_queues or ())),
                num_readers=sum(len(group.gpus) for group in readers if group.in_queue == number),
            )
            for number in numbers
        }

    def _add_step(
        self,
        index: int,
        cls: type[Any],
        input_shapes: Shapes | None,
        in_queues: dict[int | None, int],
        out_queues: dict[int | None, int],
        in_pools: tuple[int, ...],
    ) -> Shapes | None:
        """Add a step's replicas; returns the largest message that it makes."""
        step = self.config.pipeline[index]
        largest: Shapes | None = None
        on_gpu: dict[int, int] = {}
        first = len(self.replicas)
        for number, group in enumerate(step.queue_groups):
            options = {**step.options, **group.options}
            shapes = self._output_shapes(index, number, cls, options, input_shapes)
            batches = getattr(cls, "batches_requests", False)
            _check_max_clips(index, step.max_clips, input_shapes, batches=batches)
            for gpu in group.gpus:
                out_pool = self._add_pool(index, len(self.replicas) - first, gpu, cls, options, shapes)
                self.replicas.append(
                    ReplicaPlan(
                        step=index,
                        replica=len(self.replicas) - first,
                        gpu=gpu,
                        replica_on_gpu=on_gpu.get(gpu, 0),
                        device=device_of(gpu, self.mode),
                        model=step.model,
                        options={**self._context(cls, input_shapes), **options},
                        workers=_num_workers(cls, group, step, device_of(gpu, self.mode)),
                        batch_size=self.batch_size if batches else 1,
                        max_clips=step.max_clips,
                        in_queue=in_queues[group.in_queue],
                        out_queues=tuple(out_queues[queue] for queue in group.out_queues or ()),
                        selector=group.queue_selector,
                        in_pools=in_pools,
                        out_pool=out_pool,
                        num_segments=step.num_segments,
                        writes_in_place=getattr(cls, "writes_in_place", False)
                        and out_pool is not None
                        and step.num_segments == (self.batch_size if batches else 1) == 1,
                        input_shapes=input_shapes,
                    )
                )
                on_gpu[gpu] = on_gpu.get(gpu, 0) + 1
            largest = _larger(largest, shapes, index)
        return None if largest is None else _split(largest, step.num_segments)

    def _context(self, cls: type[Any], input_shapes: Shapes | None) -> dict[str, Any]:
        return accepted(cls.__init__, {**self.context_options, "input_shapes": input_shapes})

    def _add_pool(
        self,
        index: int,
        replica: int,
        gpu: int,
        cls: type[Any],
        options: dict[str, Any],
        shapes: Shapes | None,
    ) -> int | None:
        step = self.config.pipeline[index]
        if shapes is None or index == len(self.config.pipeline) - 1:
            return None
        if step.num_shared_tensors < max(self.batch_size, step.num_segments):
            raise ConfigError(
                f"pipeline[{index}].num_shared_tensors",
                f"{step.num_shared_tensors}: must be at least the batch size ({self.batch_size})"
                f" and num_segments ({step.num_segments})",
            )
        layout = SlotLayout(shapes=_split(shapes, step.num_segments), dtype=_output_dtype(cls, options))
        self.pools.append(
            PoolPlan(
                name=f"step {index}.{replica}",
                device=device_of(gpu, self.mode),
                num_slots=step.num_shared_tensors,
                layout=layout,
            )
        )
        return len(self.pools) - 1

    def _output_shapes(
        self, index: int, number: int, cls: type[Any], options: dict[str, Any], input_shapes: Shapes | None
    ) -> Shapes | None:
        offered = {**self.context_options, **options, "input_shapes": input_shapes}
        try:
            shapes: Shapes | None = cls.output_shape(**accepted(cls.output_shape, offered))
        except ValueError as error:
            raise ConfigError(f"pipeline[{index}].queue_groups[{number}]", str(error)) from None
        except Exception as error:
            problem = f"{cls.__name__}.output_shape failed: {type(error).__name__}: {error}"
            raise ConfigError(f"pipeline[{index}].model", problem) from error
        return shapes


def make_plan(
    config: PipelineConfig,
    *,
    mode: str,
    batch_size: int,
    queue_capacity: int,
    num_clients: int = 1,
    context_options: Mapping[str, Any] | None = None,
) -> Plan:
    """Resolve a config. `context_options` go to those steps that name them. Raises ConfigError."""
    return _Builder(
        config=config,
        mode=mode,
        context_options=context_options or {},
        batch_size=batch_size,
        queue_capacity=queue_capacity,
        num_clients=num_clients,
    ).build()


def polling_s(plan: Plan, *, num_clients: int, num_cpus: int) -> float:
    """How long a worker without a message looks often for one, before it sleeps until it is woken; seconds.

    Looking often keeps a core awake, so it is for runs in which every worker and client has one to itself.
    """
    num_busy = sum(replica.workers for replica in plan.replicas) + num_clients + 1
    return POLLING_S if num_busy <= num_cpus else 0.0


def _check_max_clips(
    index: int, max_clips: int | None, input_shapes: Shapes | None, *, batches: bool
) -> None:
    if max_clips is None:
        return
    if not batches or not input_shapes:
        raise ConfigError(
            f"pipeline[{index}].max_clips", "this step does not take the clips of several requests"
        )
    if max_clips < input_shapes[0][0]:
        raise ConfigError(
            f"pipeline[{index}].max_clips",
            f"{max_clips}: one message may have {input_shapes[0][0]} clips already",
        )


def _check_options(cls: type[Any], index: int, number: int, group: QueueGroup, step: StepConfig) -> None:
    for name in ("output_shape", "__call__"):
        if not callable(getattr(cls, name, None)):
            raise ConfigError(f"pipeline[{index}].model", f"'{step.model}' is not a step: it has no {name}")
    if takes_any_option(cls.__init__):
        return
    known = set(parameters(cls.__init__)) - {"device"}
    reserved = set(QueueGroup.model_fields) | set(StepConfig.model_fields)
    for place, options in (
        (f"pipeline[{index}]", step.options),
        (f"pipeline[{index}].queue_groups[{number}]", group.options),
    ):
        for name in options:
            if name not in known:
                raise unknown_option(place, name, (known | reserved) - {"queue_groups", "gpus"})


def _check_selector(place: str, group: QueueGroup) -> None:
    try:
        selector = import_class(group.queue_selector)
        if group.out_queues:
            selector(len(group.out_queues), **accepted(selector.__init__, {"queues": ()}))
    except ValueError as error:
        raise ConfigError(f"{place}.queue_selector", str(error)) from None


def _num_workers(cls: type[Any], group: QueueGroup, step: StepConfig, device: torch.device) -> int:
    suggest = getattr(cls, "default_workers", None)
    return group.workers or step.workers or (suggest(device) if suggest else 1)


def _output_dtype(cls: type[Any], options: dict[str, Any]) -> torch.dtype:
    if not hasattr(cls, "output_dtype"):
        return torch.float32
    dtype: torch.dtype = cls.output_dtype(**accepted(cls.output_dtype, options))
    return dtype


def _split(shapes: Shapes, num_segments: int) -> Shapes:
    """The shapes of the largest segment."""
    return tuple((split_rows(shape[0], num_segments)[0], *shape[1:]) for shape in shapes)


def _larger(one: Shapes | None, other: Shapes | None, index: int) -> Shapes | None:
    if one is None or other is None:
        return one or other
    if len(one) != len(other) or any(a[1:] != b[1:] for a, b in zip(one, other, strict=True)):
        raise ConfigError(
            f"pipeline[{index}].queue_groups", f"their outputs differ in more than rows: {one}, {other}"
        )
    return tuple(max(a, b) for a, b in zip(one, other, strict=True))


def _segments_before_each_step(config: PipelineConfig, classes: list[type[Any]]) -> list[int]:
    """Into how many segments a request is split when it reaches each step."""
    counts, current = [], 1
    for index, (step, cls) in enumerate(zip(config.pipeline, classes, strict=True)):
        counts.append(current)
        if getattr(cls, "joins_segments", False):
            _check_join(index, step, cls, current)
            current = 1
        if step.num_segments > 1 and current > 1:
            raise ConfigError(
                f"pipeline[{index}].num_segments", "the requests are split already by a step before"
            )
        current *= step.num_segments
    if current > 1:
        raise ConfigError(
            f"pipeline[{len(classes) - 1}]", f"no step joins the {current} segments of a request again"
        )
    return counts


def _check_join(index: int, step: StepConfig, cls: type[Any], num_segments: int) -> None:
    defaults = parameters(cls.__init__)
    expected = step.options.get(
        "aggregate", defaults["aggregate"].default if "aggregate" in defaults else num_segments
    )
    if expected != num_segments:
        raise ConfigError(
            f"pipeline[{index}].aggregate", f"{expected}: the requests come in {num_segments} segments"
        )
    num_workers = sum(len(group.gpus) * (group.workers or step.workers or 1) for group in step.queue_groups)
    if num_segments > 1 and num_workers > 1:
        raise ConfigError(
            f"pipeline[{index}]", "all segments of a request must meet: one replica with one worker"
        )


def _step_events(replica: ReplicaPlan, num_segments: int, *, joins: bool) -> list[str]:
    """What is recorded of a request on its way through a step, in the order in which it happens."""
    step, has_slots = replica.step, replica.out_pool is not None
    taken = [f"runner{step}_start"]
    if replica.writes_in_place:
        taken.append(f"slot{step}_start")
    done = [f"inference{step}_finish"]
    if has_slots and not replica.writes_in_place:
        done.append(f"slot{step}_finish")
    if replica.out_queues:
        done.append(f"handoff{step}_finish")
    return [
        *(name for event in (*taken, f"inference{step}_start") for name in _per_segment(event, num_segments)),
        *(name for event in done for name in _per_segment(event, 1 if joins else num_segments)),
    ]


def _per_segment(event: str, count: int) -> list[str]:
    return [event] if count == 1 else [f"{event}-{segment}" for segment in range(count)]


def describe(plan: Plan) -> str:
    """The plan as text, for --check."""
    num_clients = plan.queues[0].num_writers
    clients = "1 client" if num_clients == 1 else f"{num_clients} clients"
    lines = [f"processes: 1 driver, {clients}, {len(plan.replicas)} runners"]
    for replica in plan.replicas:
        gpu = "CPU" if replica.gpu < 0 else f"GPU {replica.gpu}"
        where = gpu if replica.device.type == "cuda" or replica.gpu < 0 else f"{gpu} (mapped to the CPU)"
        extra = f", {replica.workers} workers" if replica.workers > 1 else ""
        batch = f", batches of {replica.batch_size}" if replica.batch_size > 1 else ""
        if replica.max_clips:
            batch = f", batches of {replica.max_clips} clips"
        out = ", ".join(plan.queues[queue].name for queue in replica.out_queues) or "run folder"
        lines.append(
            f"  {replica.name}: {plan.step_names[replica.step]} on {where}{extra}{batch}:"
            f" {plan.queues[replica.in_queue].name} -> {out}"
        )
    lines.append("queues:")
    lines += [
        f"  {queue.name}: {queue.capacity} messages, {queue.num_writers} writers, {queue.num_readers} readers"
        for queue in plan.queues
    ]
    lines.append("slots:")
    for pool in plan.pools:
        shapes = " + ".join("x".join(map(str, shape)) for shape in pool.layout.shapes)
        total = pool.num_slots * pool.layout.num_bytes
        lines.append(
            f"  {pool.name}: {pool.num_slots} of {shapes} {str(pool.layout.dtype).removeprefix('torch.')}"
            f" on {pool.device}, {total:,} bytes"
        )
    lines.append(f"  in all: {sum(pool.num_slots * pool.layout.num_bytes for pool in plan.pools):,} bytes")
    return "\n".join(lines)
