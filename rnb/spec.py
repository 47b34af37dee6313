"""What a run is, before it runs: the config, the load, how it is placed, its limits, and what is observed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rnb.contract.termination import UsageError
from rnb.load.files import FileIterator
from rnb.load.load import Load
from rnb.load.schedule import Schedule, make_schedule
from rnb.load.videos import NoVideos
from rnb.observe.observer import Observer
from rnb.observe.occupancy import OccupancyObserver
from rnb.observe.telemetry import TelemetryObserver
from rnb.pipeline.config import ConfigError, ConfigFile, PipelineConfig
from rnb.pipeline.devices import resolve_mode
from rnb.pipeline.importer import accepted, import_class
from rnb.pipeline.plan import Plan, PlanOptions, make_plan
from rnb.pipeline.served_model import server_plan
from rnb.processes.mps import check_sharing
from rnb.transport.nixl import NIXL, check_nixl

OBSERVERS: dict[str, type[Observer]] = {one.name: one for one in (TelemetryObserver, OccupancyObserver)}
"""Those that have a name of their own; another is named by its import path."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the flags say about the pipeline, beside its config; the fields have the names of the flags."""

    per_gpu_queue: bool = False
    queue_size: int = 500
    batch_size: int = 1
    batch_timeout_ms: float = 10
    device: str = "auto"
    mps: str = "auto"
    checkpoint: str | None = None
    cluster: str | None = None
    send_files: bool = False
    carrier: str = "tcp"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What makes a run fail, or INVALID, and what does not; the fields have the names of the flags."""

    slo: float | None = None
    percentile: float | None = None
    min_duration: float | None = None
    max_failures: int = 0
    retries: int | None = None
    restart: int = 0
    max_lateness: float | None = None
    """Of live streams, in ms: a request that a replica gets later than that is dropped."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that the load is played to, not a pipeline; the fields have the names of the flags."""

    url: str
    """http://host:port or grpc://host:port."""
    model: str
    input: Sequence[str] = ()
    """NAME=random, zeros, file or path: what goes into an input."""
    shape: Sequence[str] = ()
    """NAME:3,224,224, of an input whose shape the server leaves open."""
    timeout: float = 60_000
    """How long the server may take to answer a request, in ms from when it was sent."""
    in_flight: int = 500
    """Most requests of a client process that have no answer yet."""
    keep_results: bool = False

    @property
    def sends_files(self) -> bool:
        return any(one.endswith(("=file", "=path")) for one in self.input)


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """A run."""

    config: ConfigFile
    """Of a run against a server, what that tells of itself and of its model."""
    load: Load = field(default_factory=Load)
    placement: Placement = field(default_factory=Placement)
    limits: Limits = field(default_factory=Limits)
    server: Server | None = None
    """None: the config is that of a pipeline."""
    observe: Sequence[str] = ("telemetry",)
    """Names or import paths of observers."""
    memory: bool = False
    """Whether what each replica holds is noted after each call."""
    faults: Sequence[str] = ()
    """What is done to it on purpose; see rnb/contract/fault.py."""
    num_nodes: int = 1
    """How many machines there are for it."""

    def flags(self) -> dict[str, Any]:
        """All of it as the flags that ask for it, by name, sorted."""
        flat = {**asdict(self.load), **asdict(self.placement), **asdict(self.limits)}
        flat |= asdict(self.server) if self.server else {}
        others = [name for name in self.observe if name not in OBSERVERS]
        observed = {name: name in self.observe for name in OBSERVERS} | {"observe": others or None}
        told = {
            "config_file_path": self.config.path,
            "fault": list(self.faults) or None,
            "memory": self.memory,
        }
        return dict(sorted({**told, **flat, **observed}.items()))

    def with_load(self, **changes: Any) -> RunSpec:
        """The same run with some fields of its load changed."""
        return replace(self, load=replace(self.load, **changes))

    def with_limits(self, **changes: Any) -> RunSpec:
        return replace(self, limits=replace(self.limits, **changes))

    def observers(self) -> list[Observer]:
        """New ones, for one run. Raises ConfigError for a name that is none."""
        return [_observer(name)() for name in self.observe]


def _observer(name: str) -> type[Observer]:
    if name in OBSERVERS:
        return OBSERVERS[name]
    try:
        cls = import_class(name)
    except ValueError as error:
        raise ConfigError("--observe", f"{error}; it may be: {', '.join(OBSERVERS)}, or a class") from None
    if not issubclass(cls, Observer):
        raise ConfigError("--observe", f"'{name}' is not an Observer")
    return cls


def schedule_of(spec: RunSpec) -> tuple[RunSpec, Schedule]:
    """The schedule of a run, and the run with what its load left open. Raises UsageError."""
    load, schedule = make_schedule(spec.load, _payloads_of(spec))
    return replace(spec, load=load), schedule


def samples_of(spec: RunSpec, most: int) -> list[str]:
    """The first payloads that there are; none where there is nothing to find."""
    try:
        found = _payloads(_pipeline(spec), spec.load.data)
        return [str(payload) for payload in itertools.islice(found, most)]
    except (ValueError, OSError):
        return []


def _payloads_of(spec: RunSpec) -> Iterable[str]:
    if spec.server is None:
        return _payloads(_pipeline(spec), spec.load.data)
    return _Payloads(FileIterator, spec.load.data) if spec.server.sends_files else NoVideos()


class _Payloads:
    """What the config's iterator gives; it looks for them only when it is asked."""

    def __init__(self, iterator: type[Iterable[str]], root: str) -> None:
        self._iterator, self._root = iterator, root

    def __iter__(self) -> Any:
        return iter(self._iterator(**accepted(self._iterator.__init__, {"root": self._root})))


def _payloads(pipeline: PipelineConfig, root: str) -> Iterable[str]:
    try:
        return _Payloads(import_class(pipeline.video_path_iterator), root)
    except ValueError as error:
        raise ConfigError("video_path_iterator", str(error)) from None


def plan_of(spec: RunSpec, *, num_requests: int, is_for_this_machine: bool = True) -> Plan:
    """The plan of a run of so many requests. Raises UsageError for what cannot run.

    One that is only worked out may be for a machine with other GPUs.
    """
    if spec.server is not None:
        spec.observers()
        return server_plan(spec.server.model)
    all_at_once = spec.load.mean_interval_ms == 0
    size = num_requests * _most_segments(spec) if all_at_once else spec.placement.queue_size
    spec.observers()
    check_nodes(spec)
    plan = _plan(spec, queue_capacity=size, is_for_this_machine=is_for_this_machine)
    if plan.num_nodes > 1:
        _check_several_nodes(spec, plan)
    if keeps_jobs(spec, plan):
        _check_jobs(spec, plan, _most_segments(spec))
    if is_for_this_machine:
        check_sharing(plan, spec.placement.mps)
    stateful = [one.name for one in plan.step_types if one.stateful]
    if stateful and not spec.load.has_sequences:
        raise UsageError(f"{stateful[0]} keeps a state for each sequence: say --sequences N or --streams N")
    return plan


def serving_plan_of(spec: RunSpec, *, most_pending: int) -> Plan:
    """The plan of a pipeline that serves at most so many requests at a time. Raises UsageError."""
    check_nodes(spec)
    plan = _plan(spec, queue_capacity=most_pending * _most_segments(spec))
    check_sharing(plan, spec.placement.mps)
    return plan


def _most_segments(spec: RunSpec) -> int:
    return max(step.num_segments for step in _pipeline(spec).pipeline)


def _pipeline(spec: RunSpec) -> PipelineConfig:
    return spec.config.pipeline(per_gpu_queue=spec.placement.per_gpu_queue, num_nodes=spec.num_nodes)


def names_gpus(spec: RunSpec) -> bool:
    """Whether it is to run on GPUs of this machine, as far as its config says. Raises ConfigError."""
    if spec.server is not None or spec.placement.device == "cpu":
        return False
    groups = [group for step in _pipeline(spec).pipeline for group in step.queue_groups]
    return any(node == 0 and gpu >= 0 for group in groups for node, gpu in group.places)


def _plan(spec: RunSpec, *, queue_capacity: int, is_for_this_machine: bool = True) -> Plan:
    pipeline = _pipeline(spec)
    options = PlanOptions(
        mode=resolve_mode(spec.placement.device, pipeline) if is_for_this_machine else _elsewhere(spec),
        batch_size=spec.placement.batch_size,
        queue_capacity=queue_capacity,
        num_clients=spec.load.clients,
        is_for_this_machine=is_for_this_machine,
        step_options={"seed": spec.load.seed, "checkpoint": spec.placement.checkpoint},
    )
    return make_plan(pipeline, options)


def _elsewhere(spec: RunSpec) -> str:
    """The mode of a run on a machine that has all the GPUs that it names."""
    return "cpu" if spec.placement.device == "cpu" else "cuda"


def check_nodes(spec: RunSpec) -> None:
    """Raises ConfigError where its config names a node that there is not."""
    groups = [group for step in _pipeline(spec).pipeline for group in step.queue_groups]
    last = max((node for group in groups for node in group.nodes), default=0)
    if last >= spec.num_nodes:
        there = f"there {'is 1 node' if spec.num_nodes == 1 else f'are {spec.num_nodes} nodes'}"
        with_cluster = "" if spec.placement.cluster else "; benchmark.py --cluster reaches others"
        raise ConfigError("gpus", f"node {last}: {there}, from 0{with_cluster}")


def _check_several_nodes(spec: RunSpec, plan: Plan) -> None:
    if spec.placement.carrier == NIXL:
        check_nixl()
    if OccupancyObserver.name in spec.observe:
        raise UsageError("--occupancy: not over several nodes")
    if spec.placement.send_files and plan.step_types[0].cls.passes_on:
        raise UsageError(
            f"--send-files: {plan.step_names[0]} hands requests on as they came, and files would not go along"
        )


def keeps_jobs(spec: RunSpec, plan: Plan) -> bool:
    """Whether requests are tried again, or replicas replaced."""
    return spec.limits.retries is not None or replaces(spec, plan)


def replaces(spec: RunSpec, plan: Plan) -> bool:
    """Whether another process may take the place of a replica."""
    return spec.limits.restart > 0 or any(replica.recycle_after for replica in plan.replicas)


def replaces_nodes(spec: RunSpec) -> bool:
    """Whether the same holds of all processes of a node; not with files that clients have sent there."""
    return spec.num_nodes > 1 and spec.limits.restart > 0 and not spec.placement.send_files


def _check_jobs(spec: RunSpec, plan: Plan, most_segments: int) -> None:
    if most_segments > 1:
        why = "cannot be tried again, nor its replicas replaced"
        flags = "leave out --retries, --restart and recycle_after"
        raise ConfigError("num_segments", f"a request in segments {why}: {flags}")
    if spec.load.has_sequences and spec.limits.retries is not None:
        raise UsageError("--retries: a request of a sequence that is tried again would come out of order")
    for replica in plan.replicas:
        if replica.recycle_after and plan.step_types[replica.step].stateful:
            place = f"pipeline[{replica.step}].recycle_after"
            raise ConfigError(place, "the states of its sequences would go with the process")
