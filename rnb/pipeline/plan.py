"""The resolved plan of a run: which replicas, on which devices, joined by which queues and slots.

It is worked out from the config and the run's flags before any process starts, and `--check` prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rnb.contract.device import Device
from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.contract.request import Layout
from rnb.pipeline.config import ConfigError, PipelineConfig, QueueGroup
from rnb.pipeline.devices import device_of
from rnb.pipeline.neighbours import check_neighbours
from rnb.pipeline.selectors import check_selector
from rnb.pipeline.sequences import check_sequences
from rnb.pipeline.step_type import StepType, resolve


@dataclass(frozen=True, kw_only=True)
class WayPlan:
    """The way to the readers on one node."""

    queue: int
    """The queue itself, or one that leads to another node."""
    num_readers: int
    lane_to: int | None = None
    """The node that has the queue, where writers send to it themselves; None: they put into a queue here."""


@dataclass(frozen=True, kw_only=True)
class QueuePlan:
    name: str
    capacity: int
    num_writers: int
    num_readers: int
    keeps_sequences: bool = False
    """Whether all messages of a sequence go to the same reader."""
    ways: tuple[WayPlan, ...] = ()
    """To all its readers, in the order of the nodes; none: all are on this one."""


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """The slots that one replica writes."""

    name: str
    device: Device
    num_slots: int
    layout: Layout


@dataclass(frozen=True, kw_only=True)
class ReplicaPlan:
    """One runner process. Queues and pools are indices into the plan's lists."""

    step: int
    replica: int
    """Index among the replicas of the step."""
    gpu: int
    replica_on_gpu: int
    """Index among the step's replicas on the same GPU."""
    device: Device
    model: str
    options: Mapping[str, Any]
    """All of the step's, with what the config leaves to the defaults and to the run."""
    workers: int
    batch_size: int
    """Most requests in a call."""
    max_clips: int | None
    """Most clips in a call; None = as many as the requests have."""
    in_queues: tuple[int, ...]
    """It takes from the first of them that has a message."""
    readers: tuple[int, ...]
    """Which of the readers of each of them it is."""
    out_queues: tuple[int, ...]
    selector: str
    in_pools: tuple[int, ...]
    out_pool: int | None
    num_segments: int
    writes_in_place: bool
    """Whether the step writes its output straight into a slot."""
    inputs: Layout
    """The largest input of one message."""
    recycle_after: int | None = None
    """After how many requests another process takes its place; None: never."""
    memory_limit_mb: int | None = None
    node: int = 0
    """Of the machines of the run; 0 is the driver's."""

    @property
    def most_rows(self) -> int:
        """Rows of the largest call; 0 without input tensors."""
        if not self.inputs:
            return 0
        return self.max_clips or self.inputs[0].most_rows * self.batch_size

    @property
    def name(self) -> str:
        """Step and replica, as messages and process lists name them."""
        return f"step {self.step}.{self.replica}"

    def described(self, *, pid: int | None, facts: Mapping[str, Any]) -> dict[str, Any]:
        """As run.json has it, with its process (None: it was simulated) and what its step told."""
        return {
            "step": self.step,
            "replica": self.replica,
            "gpu": self.gpu,
            "replica_on_gpu": self.replica_on_gpu,
            "device": str(self.device),
            "workers": self.workers,
            "pid": pid,
            "facts": facts,
            "node": self.node,
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    queues: list[QueuePlan]
    pools: list[PoolPlan]
    replicas: list[ReplicaPlan]
    events: tuple[Event, ...]
    """What is recorded of each request, in the order in which it happens."""
    step_types: tuple[StepType, ...]
    class_names: tuple[str, ...] = ()
    """What the classes of the results are called, by label; empty: they have no names."""
    replaces: bool = False
    """Whether another process may take the place of a replica while the run plays."""
    replaces_nodes: bool = False
    """Whether the same holds of all the processes of a node."""

    @cached_property
    def writers(self) -> Mapping[tuple[int, int], Sequence[ReplicaPlan]]:
        """The replicas that put into a queue, by its number and the node."""
        return _by_place(self.replicas, lambda replica: replica.out_queues)

    @cached_property
    def readers(self) -> Mapping[tuple[int, int], Sequence[ReplicaPlan]]:
        """Those that take from it."""
        return _by_place(self.replicas, lambda replica: replica.in_queues)

    def queues_before(self, step: int) -> set[int]:
        """Those that its replicas take from."""
        return {queue for replica in self.replicas if replica.step == step for queue in replica.in_queues}

    def places_of(self, queue: int) -> tuple[int, ...]:
        """The queues here that its writers put into: itself, or it and those that lead to other nodes."""
        ways = [way.queue for way in self.queues[queue].ways if way.lane_to is None]
        return tuple(ways) or (queue,)

    @property
    def num_steps(self) -> int:
        return len(self.step_types)

    @property
    def num_nodes(self) -> int:
        return 1 + max((replica.node for replica in self.replicas), default=0)

    @property
    def step_names(self) -> tuple[str, ...]:
        """The class name of each step."""
        return tuple(one.name for one in self.step_types)

    @property
    def gpus(self) -> list[int]:
        """The GPUs that it computes on, by their CUDA index."""
        indices = {replica.device.index for replica in self.replicas if replica.device.is_gpu}
        return sorted(index for index in indices if index is not None)


def _by_place(
    replicas: Sequence[ReplicaPlan], queues_of: Callable[[ReplicaPlan], Sequence[int]]
) -> dict[tuple[int, int], list[ReplicaPlan]]:
    found: dict[tuple[int, int], list[ReplicaPlan]] = {}
    for replica in replicas:
        for queue in dict.fromkeys(queues_of(replica)):
            found.setdefault((queue, replica.node), []).append(replica)
    return found


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What the run's flags say about the plan."""

    mode: str
    """'cuda' or 'cpu'."""
    batch_size: int = 1
    queue_capacity: int = 500
    num_clients: int = 1
    is_for_this_machine: bool = True
    """Whether what the steps need is looked for here."""
    step_options: Mapping[str, Any] = field(default_factory=dict)
    """Options that steps have from the run where the config does not set them."""


def make_plan(config: PipelineConfig, options: PlanOptions) -> Plan:
    """Resolve a config. Raises ConfigError."""
    return _Builder(config=config, flags=options).build()


@dataclass(kw_only=True)
class _Builder:
    config: PipelineConfig
    flags: PlanOptions
    queues: list[QueuePlan] = field(default_factory=list)
    pools: list[PoolPlan] = field(default_factory=list)
    replicas: list[ReplicaPlan] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    options: list[list[Any]] = field(default_factory=list)
    """Of each step, of each of its queue groups."""
    class_names: tuple[str, ...] = ()
    """Of the step that was added last."""
    num_ordered: int = 0
    """Of so many steps the requests of a sequence stay in order."""

    def build(self) -> Plan:
        types = [self._step_type(index) for index in range(len(self.config.pipeline))]
        self._check_batching(types)
        self.num_ordered = check_sequences(self.config, types)
        num_readers = sum(len(group.gpus) for group in self.config.pipeline[0].queue_groups)
        self._add_queue(
            "filename queue", before_step=0, num_writers=self.flags.num_clients, num_readers=num_readers
        )
        in_queues: dict[int | None, int] = {None: 0}
        in_pools: tuple[int, ...] = ()
        layout: Layout = ()
        num_segments = 1
        for index, step_type in enumerate(types):
            out_queues = self._add_queues_after(index)
            first_pool = len(self.pools)
            arriving = num_segments
            num_segments = self._segments_after(index, step_type, num_segments)
            layout = self._add_step(index, step_type, layout, in_queues, out_queues, in_pools)
            in_queues, in_pools = {**out_queues}, tuple(range(first_pool, len(self.pools)))
            self.events += _step_events(self.replicas[-1], arriving, joins=step_type.joins_segments)
        check_neighbours(self.config, types, self.options)
        if num_segments > 1:
            raise ConfigError(
                f"pipeline[{len(types) - 1}]", f"no step joins the {num_segments} segments of a request again"
            )
        return Plan(
            queues=self.queues,
            pools=self.pools,
            replicas=self.replicas,
            events=(DUE, SENT, *self.events),
            step_types=tuple(types),
            class_names=self.class_names,
        )

    def _step_type(self, index: int) -> StepType:
        step = self.config.pipeline[index]
        try:
            step_type = resolve(step.model)
        except ValueError as error:
            raise ConfigError(f"pipeline[{index}].model", str(error)) from None
        for number, group in enumerate(step.queue_groups):
            try:
                check_selector(group.queue_selector, len(group.out_queues or (0,)))
            except ValueError as error:
                place = f"pipeline[{index}].queue_groups[{number}].queue_selector"
                raise ConfigError(place, str(error)) from None
        return step_type

    def _check_batching(self, types: list[StepType]) -> None:
        if self.flags.batch_size > 1 and not any(one.batches_requests for one in types):
            names = ", ".join(one.name for one in types)
            raise ConfigError(
                "-b", f"{self.flags.batch_size}: no step of this pipeline takes several requests ({names})"
            )

    def _add_queue(self, name: str, *, before_step: int, num_writers: int, num_readers: int) -> int:
        self.queues.append(
            QueuePlan(
                name=name,
                capacity=self.flags.queue_capacity,
                num_writers=num_writers,
                num_readers=num_readers,
                keeps_sequences=before_step < self.num_ordered,
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
                before_step=index + 1,
                num_writers=sum(len(group.gpus) for group in groups if number in (group.out_queues or ())),
                num_readers=sum(len(group.gpus) for group in readers if number in group.in_queues),
            )
            for number in numbers
        }

    def _segments_after(self, index: int, step_type: StepType, arriving: int) -> int:
        """Into how many segments a request is split when it leaves a step that it reaches in `arriving`."""
        step = self.config.pipeline[index]
        remaining = 1 if step_type.joins_segments else arriving
        if step_type.joins_segments:
            self._check_join(index, step_type, arriving)
        if step.num_segments > 1 and remaining > 1:
            raise ConfigError(
                f"pipeline[{index}].num_segments", "the requests are split already by a step before"
            )
        return remaining * step.num_segments

    def _check_join(self, index: int, step_type: StepType, arriving: int) -> None:
        step = self.config.pipeline[index]
        num_workers = 0
        for number, group in enumerate(step.queue_groups):
            options = step_type.options(index, number, step, group, self.flags.step_options)
            expected = step_type.cls.num_segments_joined(options)
            if expected is not None and expected != arriving:
                raise ConfigError(
                    f"pipeline[{index}].aggregate",
                    f"{expected}: the requests come in {arriving} segments",
                )
            num_workers += len(group.gpus) * (group.workers or step.workers or 1)
        if arriving > 1 and num_workers > 1:
            raise ConfigError(
                f"pipeline[{index}]", "all segments of a request must meet: one replica with one worker"
            )

    def _add_step(
        self,
        index: int,
        step_type: StepType,
        inputs: Layout,
        in_queues: dict[int | None, int],
        out_queues: dict[int | None, int],
        in_pools: tuple[int, ...],
    ) -> Layout:
        """Add a step's replicas; returns the largest message that it makes."""
        step = self.config.pipeline[index]
        largest: Layout | None = None
        on_gpu: dict[tuple[int, int], int] = {}
        readers = dict.fromkeys(in_queues, 0)
        self.options.append([])
        first = len(self.replicas)
        _check_max_clips(index, step.max_clips, inputs, batches=step_type.batches_requests)
        batch_size = self.flags.batch_size if step_type.batches_requests else 1
        for number, group in enumerate(step.queue_groups):
            options = step_type.options(index, number, step, group, self.flags.step_options)
            self.options[-1].append(options)
            layout = step_type.output(index, number, options, inputs)
            self.class_names = step_type.class_names(index, number, options)
            for node, gpu in group.places:
                device = device_of(gpu, self.flags.mode)
                if self.flags.is_for_this_machine and node == 0:  # the others look for themselves
                    step_type.check_machine(index, number, options, device)
                out_pool = self._add_pool(index, len(self.replicas) - first, device, layout)
                is_plain = step.num_segments == batch_size == 1 and step.max_clips is None
                self.replicas.append(
                    ReplicaPlan(
                        step=index,
                        replica=len(self.replicas) - first,
                        node=node,
                        gpu=gpu,
                        replica_on_gpu=on_gpu.get((node, gpu), 0),
                        device=device,
                        model=step.model,
                        options=dict(options),
                        workers=self._num_workers(index, step_type, group, options, device),
                        batch_size=batch_size,
                        max_clips=step.max_clips,
                        in_queues=tuple(in_queues[queue] for queue in group.in_queues),
                        readers=tuple(readers[queue] for queue in group.in_queues),
                        out_queues=tuple(out_queues[queue] for queue in group.out_queues or ()),
                        selector=group.queue_selector,
                        in_pools=in_pools,
                        out_pool=out_pool,
                        num_segments=step.num_segments,
                        writes_in_place=step_type.writes_in_place and out_pool is not None and is_plain,
                        inputs=inputs,
                        recycle_after=step.recycle_after,
                        memory_limit_mb=step.memory_limit_mb,
                    )
                )
                on_gpu[node, gpu] = on_gpu.get((node, gpu), 0) + 1
                for queue in group.in_queues:
                    readers[queue] += 1
            largest = layout if largest is None else _larger(largest, layout, index)
        return _split(largest or (), step.num_segments)

    def _num_workers(
        self, index: int, step_type: StepType, group: QueueGroup, options: Any, device: Device
    ) -> int:
        if index < self.num_ordered:
            return 1  # several would overtake each other
        return step_type.num_workers(self.config.pipeline[index], group, options, device)

    def _add_pool(self, index: int, replica: int, device: Device, layout: Layout) -> int | None:
        step = self.config.pipeline[index]
        if not layout or index == len(self.config.pipeline) - 1:
            return None
        if step.num_shared_tensors < max(self.flags.batch_size, step.num_segments):
            raise ConfigError(
                f"pipeline[{index}].num_shared_tensors",
                f"{step.num_shared_tensors}: must be at least the batch size ({self.flags.batch_size})"
                f" and num_segments ({step.num_segments})",
            )
        self.pools.append(
            PoolPlan(
                name=f"step {index}.{replica}",
                device=device,
                num_slots=step.num_shared_tensors,
                layout=_split(layout, step.num_segments),
            )
        )
        return len(self.pools) - 1


def _check_max_clips(index: int, max_clips: int | None, inputs: Layout, *, batches: bool) -> None:
    if max_clips is None:
        return
    if not batches or not inputs:
        raise ConfigError(
            f"pipeline[{index}].max_clips", "this step does not take the clips of several requests"
        )
    if max_clips < inputs[0].most_rows:
        raise ConfigError(
            f"pipeline[{index}].max_clips",
            f"{max_clips}: one message may have {inputs[0].most_rows} clips already",
        )


def _split(layout: Layout, num_segments: int) -> Layout:
    """Of the largest segment."""
    return tuple(spec.with_rows(-(-spec.most_rows // num_segments)) for spec in layout)


def _larger(one: Layout, other: Layout, index: int) -> Layout:
    rows = [[(spec.row, spec.dtype) for spec in layout] for layout in (one, other)]
    if rows[0] != rows[1]:
        raise ConfigError(
            f"pipeline[{index}].queue_groups", f"their outputs differ in more than rows: {one}, {other}"
        )
    return tuple(max(pair, key=lambda spec: spec.most_rows) for pair in zip(one, other, strict=True))


def _step_events(replica: ReplicaPlan, num_segments: int, *, joins: bool) -> list[Event]:
    """What is recorded of a request on its way through a step, in the order in which it happens."""
    before, after = [EventKind.TAKEN], [EventKind.FINISHED]
    if replica.writes_in_place:
        before.append(EventKind.WAITS_FOR_SLOT)
    before.append(EventKind.STARTED)
    if replica.out_pool is not None and not replica.writes_in_place:
        after.append(EventKind.HAS_SLOT)
    if replica.out_queues:
        after.append(EventKind.HANDED_ON)
    return [
        *(event for kind in before for event in _per_segment(kind, replica.step, num_segments)),
        *(
            event
            for kind in after
            for event in _per_segment(kind, replica.step, 1 if joins else num_segments)
        ),
    ]


def _per_segment(kind: EventKind, step: int, count: int) -> list[Event]:
    return [Event(kind, step)] if count == 1 else [Event(kind, step, segment) for segment in range(count)]
