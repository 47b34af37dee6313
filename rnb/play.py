"""One run from its schedule to its end: plan it, start its processes, wait, put together what happened.

    spec, schedule ─▶ plan ─▶ fabric and processes ─▶ start barrier ─▶ the timed part ─▶ end ─▶ Run, run
    folder

`play` may be called from any thread, as often as one likes. It prints nothing and handles no signals: whoever
calls it does.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.faults.plan import plan_faults
from rnb.faults.player import FaultPlayer
from rnb.load.schedule import Schedule
from rnb.load.source import ScheduleSource
from rnb.observe.environment import environment
from rnb.observe.machine import MachineObserver
from rnb.observe.observer import End, Observer, Seen, Start, Watched
from rnb.pipeline.parts import Part, part_of
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.processes.client_task import Clients, ClientTask
from rnb.processes.cores import cores_of_clients
from rnb.processes.launch import Launcher
from rnb.processes.memory import memory_table
from rnb.processes.mps import Sharing, shared_gpus
from rnb.processes.other_nodes import OtherNodes, Work
from rnb.processes.recovery import Allowed, Recovery, is_complete, with_recovery
from rnb.processes.replicas import IMPORTED_ON_GPUS, NUM_SAMPLES, Replicas, Setting, imported, starting
from rnb.processes.sender import SenderTask, run_sender
from rnb.processes.start_up import StartUp, phases_of_run
from rnb.processes.supervisor import Child, Supervisor
from rnb.record.meta import Jobs, RunMeta
from rnb.record.over_nodes import joined
from rnb.record.run import SEQUENCE, Run, class_columns, size_columns
from rnb.record.run_folder import RunFolderError, write
from rnb.record.seed_format import namespace_text
from rnb.record.start_up import Phase
from rnb.record.tables import EVENTS, MEMORY, TELEMETRY
from rnb.spec import RunSpec, keeps_jobs, names_gpus, plan_of, replaces, replaces_nodes
from rnb.transport.fabric import FAILED, REFUSED, STATUS_NAMES, ControlLine, Fabric, Log, Table
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.nursery import nursery

DEFAULT_FABRIC = LocalFabric
"""What joins the processes of a run."""

GPU_DRIVER = Path("/dev/nvidiactl")


@dataclass
class Interruption:
    """Ends a run from outside, from a handler of signals say."""

    is_set: bool = False

    def set(self) -> None:
        self.is_set = True


P = ParamSpec("P")
R = TypeVar("R")


def _giving_back(function: Callable[P, R]) -> Callable[P, R]:
    """What is left of a run goes at once: its parts refer to each other, and have 40 and more files open."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        finally:
            gc.collect()

    return call


@_giving_back
def play(
    spec: RunSpec,
    schedule: Schedule,
    *,
    plan: Plan | None = None,
    folder: Path | None = None,
    observers: Sequence[Observer] = (),
    interruption: Interruption | None = None,
    warn: Callable[[str], None] = lambda line: None,
    fabric: Fabric | None = None,
    clients: Clients | None = None,
    cluster: Launcher | None = None,
) -> Run:
    """Play a schedule through a pipeline, or to a server.

    Args:
        plan: that of the run, where it is known already.
        folder: where the run is written, before this returns; None: it is not.
        observers: more of them than those that `spec` names.
        interruption: ends the run when it is set.
        warn: is called with lines that its user should see at once.
        fabric: what joins its processes on this machine; None: a DEFAULT_FABRIC.
        clients: what plays the schedule to a server; None: it goes through the pipeline.
        cluster: starts what the plan has on other machines.

    Returns:
        The run, whatever its end was: `run.meta.is_success` says whether it went well, `run.meta.message`
        what went wrong, and `run.traceback` where.

    Raises:
        UsageError: it cannot start as asked, or not on this machine; nothing runs.
    """
    start_up = StartUp()
    plan = plan or plan_of(spec, num_requests=len(schedule))
    if keeps_jobs(spec, plan):
        plan = with_recovery(plan, replaces=replaces(spec, plan), replaces_nodes=replaces_nodes(spec))
    faults = FaultPlayer(plan_faults(spec.faults, plan, schedule))
    watching = [MachineObserver(), *spec.observers(), *observers, faults]
    part = part_of(plan, 0)
    with contextlib.ExitStack() as stack:
        with start_up.phase("MPS"):
            sharing = stack.enter_context(shared_gpus(part.plan, spec.placement.mps))
        stack.enter_context(_ending(watching))
        with starting(), start_up.phase("shared memory"):
            playing = _Playing(
                spec=spec,
                schedule=schedule,
                plan=plan,
                part=part,
                cluster=cluster,
                sharing=sharing,
                fabric=fabric or DEFAULT_FABRIC(clients.modules if clients else imported(part.plan)),
                clients=clients,
                observers=watching,
                faults=faults,
                interruption=interruption or Interruption(),
                warn=warn,
                start_up=start_up,
            )
        run = playing.play()
    run.folder = folder
    if folder is not None:
        _keep(run, folder)
        for observer in watching:
            observer.conclude(run)
    return run


def foresee(spec: RunSpec) -> None:
    """Have what processes on GPUs need imported while the run is planned, which imports as much here."""
    if GPU_DRIVER.exists() and names_gpus(spec):
        nursery(IMPORTED_ON_GPUS)


@contextlib.contextmanager
def _ending(observers: Sequence[Observer]) -> Iterator[None]:
    """Observers leave nothing behind, however what is done inside ends."""
    try:
        yield
    finally:
        for observer in observers:
            observer.kill()


def _keep(run: Run, folder: Path) -> None:
    try:
        write(run, folder)
    except RunFolderError as error:
        run.meta.is_success = False
        run.meta.message = run.meta.message or f"the run folder is not complete: {error}"


@dataclass(kw_only=True)
class _Playing:
    """A run while it plays."""

    spec: RunSpec
    schedule: Schedule
    plan: Plan
    part: Part
    """What this machine has of the plan: all of it, where it is the only one."""
    cluster: Launcher | None
    sharing: Sharing
    fabric: Fabric
    clients: Clients | None
    observers: Sequence[Observer]
    faults: FaultPlayer
    interruption: Interruption
    warn: Callable[[str], None]
    start_up: StartUp
    phases: Sequence[Phase] = ()
    """Empty until the start barrier is passed."""
    start_ns: int | None = None
    """None until the start barrier is passed."""
    end_ns: int = 0
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._payloads = self.fabric.texts(self.schedule.payloads)
        self._payload_of = self.fabric.numbers(self.schedule.payload_of)
        self._arrivals_ns = self.fabric.numbers(self.schedule.arrivals_ns)
        self._table = self.fabric.table(num_requests=len(self.schedule), events=self.plan.events)
        self._supervisor = Supervisor(self.fabric, lambda: self.interruption.is_set)
        self._memory = self.fabric.log() if self.spec.memory else None
        is_paced = self.schedule.arrivals_ns.any() and self.clients is None
        self._cores_of_clients = cores_of_clients(self.spec.load.clients) if is_paced else frozenset()
        self._others = self._make_others()
        self._replicas = Replicas(
            plan=self.part.plan, fabric=self.fabric, supervisor=self._supervisor, setting=self._setting()
        )
        self._replicas.slowdowns_of = self.faults.slowdowns_of
        self._recovery = self._make_recovery() if keeps_jobs(self.spec, self.plan) else None
        if self._recovery is not None:
            self._replicas.rules_of = self._recovery.node.replacement.rules
            if self._others is not None:
                self._others.recovery = self._recovery

    def _make_others(self) -> OtherNodes | None:
        if self.plan.num_nodes == 1:
            return None
        assert self.cluster is not None  # as the plan was checked
        return OtherNodes(
            launcher=self.cluster,
            plan=self.plan,
            part=self.part,
            fabric=self.fabric,
            supervisor=self._supervisor,
            table=self._table,
            environment=environment(),
            carrier=self.spec.placement.carrier,
            drops_late=self._max_lateness_ns is not None,
        )

    @property
    def _max_lateness_ns(self) -> int | None:
        max_lateness = self.spec.limits.max_lateness
        return None if max_lateness is None else int(max_lateness * 1e6)

    @property
    def _num_sequences_a_node(self) -> int:
        """How many are under way at once on each, if they spread evenly."""
        sequences = self.schedule.sequences
        return -(-sequences.num_at_once // self.plan.num_nodes) if sequences else 0

    def _setting(self) -> Setting:
        probes = [observer.probe(self.part.plan) for observer in self.observers]
        return Setting(
            batch_timeout_ms=self.spec.placement.batch_timeout_ms,
            seed=self.spec.load.seed,
            checkpoint=self.spec.placement.checkpoint,
            samples=self.schedule.payloads[:NUM_SAMPLES],
            num_clients=self.spec.load.clients,
            num_bridge_threads=sum(bridge.num_threads for bridge in self.part.bridges),
            num_nodes_here=self._others.meeting.num_nodes_beside(0) if self._others else 1,
            token=self._others.meeting.token if self._others else b"",
            sends_files=self.spec.placement.send_files,
            environment=self.sharing.environment,
            num_sequences=self._num_sequences_a_node,
            cores_of_clients=self._cores_of_clients,
            max_lateness_ns=self._max_lateness_ns,
            probes=tuple(probe for probe in probes if probe is not None),
            memory=self._memory,
            is_replaceable=self.spec.limits.restart > 0,
        )

    def _make_recovery(self) -> Recovery:
        limits = self.spec.limits
        return Recovery(
            allowed=Allowed(
                retries=limits.retries,
                restarts=limits.restart,
                is_loss_final=self.schedule.sequences is not None,
            ),
            part=self.part,
            fabric=self.fabric,
            table=self._table,
            queues=self._replicas.queues,
            pools=self._replicas.pools,
            first=self._replicas.writing_end(0, self._table),
            request_of=self._request,
            fail=self._fail_to_send,
        )

    def _fail_to_send(self, why: str) -> None:
        self._supervisor.tick()  # which may know better why another node cannot be reached
        self._supervisor.fail(why)

    def _request(self, request_id: int) -> Request:
        return Request(request_id, self.schedule.payloads[self.schedule.payload_of[request_id]])

    def play(self) -> Run:
        try:
            with starting():
                self.start_ns = self._start()
            self._wait()
        finally:
            self._supervisor.end()
            if self._recovery is not None:
                self._recovery.end()
            if self._others is not None:
                self._others.end()
        return self._run()

    def _start(self) -> int | None:
        """Start all processes and pass the start barrier; the start time, or None when that failed."""
        if self._others is not None:
            self._others.launch(self._replicas, self.sharing.environment)
        with self.start_up.phase("processes"):
            self._spawn_all()
        with self.start_up.phase("observers"):
            for observer in self.observers:
                observer.prepare(self._watched())
        if self._others is not None:
            self._others.welcome(self._work)
        with self.start_up.phase("wait for all to be ready"):
            is_ready = self._replicas.get_ready(self._others.join if self._others else lambda: True)
        if not is_ready:
            return None
        phases = self._phases()
        with self.start_up.phase("start of observers"):
            for observer in self.observers:
                observer.start(self._start_of(observer, phases))
        self.phases = self._phases()
        if self._recovery is not None:
            self._recovery.connect()
        start_ns = self._replicas.start(self._others.start() if self._others else None)
        for observer in self.observers:
            observer.begin(start_ns)
        if self._recovery is not None:
            self._recovery.node.replacement.begin(
                start_ns,
                supervisor=self._supervisor,
                spawn=self._spawn,
                handles=self._replicas.handles,
                replaced=self._tell_of_heir,
            )
            if self._others is not None:
                self._others.begin(self._replicas)
        return start_ns

    def _spawn_all(self) -> None:
        for number in range(self.spec.load.clients):
            name = "client" if self.spec.load.clients == 1 else f"client {number}"
            target = self.clients.run if self.clients else run_sender
            self._supervisor.spawn(name, target, partial(self._client_task, number))
        for replica in reversed(self.part.plan.replicas):  # networks, which come late, warm up longest
            self._spawn(replica)

    def _work(self, part: Part, gone: frozenset[int]) -> Work:
        """Of one of the other nodes, now; `gone`: see Work."""
        assert self._others is not None
        start_ns = self.start_ns
        since_ns = 0 if start_ns is None else self.fabric.clock.now_ns() - start_ns
        return Work(
            part=part,
            meeting=self._others.meeting,
            num_requests=len(self.schedule),
            mps=self.spec.placement.mps,
            batch_timeout_ms=self.spec.placement.batch_timeout_ms,
            seed=self.spec.load.seed,
            checkpoint=self.spec.placement.checkpoint,
            samples=self.schedule.payloads[:NUM_SAMPLES],
            num_sequences=self._num_sequences_a_node,
            arrivals_ns=None if self._max_lateness_ns is None else self.schedule.arrivals_ns,
            max_lateness_ns=self._max_lateness_ns,
            restarts=None if self._recovery is None else self.spec.limits.restart,
            gone=gone,
            is_newcomer=start_ns is not None,
            faults=[one for one in self.faults.planned if one.lasts_after(since_ns)],
            telemetry=TELEMETRY in self.spec.observe,
            memory=self.spec.memory,
        )

    def _spawn(self, replica: ReplicaPlan) -> Child:
        return self._replicas.spawn(replica, self._table)

    def _tell_of_heir(self, name: str, pid: int) -> None:
        for observer in self.observers:
            observer.replaced(name, pid)

    def _watched(self) -> Watched:
        return Watched(
            plan=self.part.plan,
            table=self._table,
            queues=self._replicas.queues,
            payloads=self.schedule.payloads,
            data=self.spec.load.data,
            num_warmup=self.schedule.num_warmup,
            clock=self.fabric.clock,
            warn=self.warn,
        )

    def _start_of(self, observer: Observer, phases: Sequence[Phase]) -> Start:
        return Start(
            pids={**(self.clients.beside() if self.clients else {}), **self._supervisor.pids()},
            facts=self._replicas.facts(),
            told=self._told(observer),
            phases=phases,
        )

    def _phases(self) -> list[Phase]:
        """Of all processes of all nodes until now."""
        others = self._others.start_up() if self._others is not None else []
        return phases_of_run(self.start_up, [*self._supervisor.start_up(), *others])

    def _told(self, observer: Observer) -> dict[str, list[Any]]:
        """What an observer's probes have told, by the name of the runner."""
        return {
            name: [value for whose, value in told if whose == observer.name]
            for name, told in self._supervisor.told("seen").items()
        }

    def _client_task(self, number: int, line: ControlLine) -> ClientTask:
        common: dict[str, Any] = {
            "line": line,
            "stop": self.fabric.stop,
            "table": self._table,
            "source": ScheduleSource(
                all_arrivals_ns=self._arrivals_ns,
                payloads=self._payloads,
                payload_of=self._payload_of,
                number=number,
                num_clients=self.spec.load.clients,
                sequences=self.schedule.sequences,
            ),
            "environment": self.sharing.environment,
        }
        return (
            self.clients.task(**common)
            if self.clients
            else SenderTask(
                queue=self._replicas.client_end(self._table), cores=self._cores_of_clients, **common
            )
        )

    def _wait(self) -> None:
        """Wait for the end of the stream, or of the run."""
        if self.start_ns is None:
            self._supervisor.wait_until_over(self._look_at_others)
            self.end_ns = self.fabric.clock.now_ns()
            return
        self._supervisor.wait_until_over(self._look, self._is_complete)
        if self._others is not None:
            self._others.gather()
        is_done = self._is_complete()
        if is_done:
            self.fabric.stop.raise_flag(Termination.TARGET_NUM_VIDEOS_REACHED)
        self.end_ns = int(self._table.times.max()) if is_done else self.fabric.clock.now_ns()
        self.seen = [observer.stop(self._end(observer, is_done)) for observer in self.observers]

    def _is_complete(self) -> bool:
        return is_complete(self._table)

    def _look_at_others(self) -> None:
        if self._others is not None:
            self._others.look()

    def _look(self) -> None:
        self._look_at_others()
        for observer in self.observers:
            observer.look()
        if self._recovery is not None:
            self._recovery.look(self._is_complete())

    def _end(self, observer: Observer, is_complete: bool) -> End:
        assert self.start_ns is not None
        return End(
            start_ns=self.start_ns,
            time_ns=self.end_ns,
            is_complete=is_complete,
            told=self._told(observer),
        )

    def _run(self) -> Run:
        offset_ns = self.fabric.clock.epoch_offset_ns()
        times = np.where(self._table.times, self._table.times + offset_ns, 0)
        return Run(
            meta=self._meta(offset_ns),
            times={event: times[:, index] for index, event in enumerate(self.plan.events)},
            requests=self._requests(),
            tables=self._tables(),
            results=self._table.results(),
            traceback=self._supervisor.traceback,
        )

    def _requests(self) -> dict[str, NDArray[Any]]:
        columns = _request_columns(self._table, self.schedule, self.plan.class_names)
        if self._recovery is not None:
            columns["attempts"] = self._recovery.attempts
            for request_id, reasons in self._recovery.reasons.items():
                columns["reason"][request_id] = "; ".join(reasons)
        return columns

    def _tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        tables = {name: table for seen in self.seen for name, table in seen.tables.items()}
        if self._recovery is not None:
            tables[EVENTS] = self._recovery.log.columns()
        if self._memory is not None:
            tables[MEMORY] = self._memory_table(self._memory)
        if self._others is not None and TELEMETRY in tables:
            tables[TELEMETRY] = joined({0: tables[TELEMETRY], **self._of_others(TELEMETRY, "time_ns")})
        return tables

    def _memory_table(self, log: Log) -> dict[str, NDArray[Any]]:
        """Of all nodes, in the order in which the calls ended."""
        own = memory_table(log, [replica.name for replica in self.part.plan.replicas])
        own["at_ns"] += self.fabric.clock.epoch_offset_ns()
        parts = [own, *self._of_others(MEMORY, "at_ns").values()]
        order = np.argsort(np.concatenate([part["at_ns"] for part in parts]), kind="stable")
        return {name: np.concatenate([part[name] for part in parts])[order] for name in own}

    def _of_others(self, name: str, time: str) -> dict[int, dict[str, NDArray[Any]]]:
        """A table of each other node; `time`: its column of times, which are epoch ns here."""
        found = self._others.tables(name, time) if self._others is not None else {}
        offset_ns = self.fabric.clock.epoch_offset_ns()
        return {node: {**table, time: table[time] + offset_ns} for node, table in found.items()}

    def _meta(self, offset_ns: int) -> RunMeta:
        problem, flags, reason = self._problem(), self.spec.flags(), self.fabric.stop.reason
        kind = self.plan.step_types[-1].result_kind
        return RunMeta(
            argv=sys.argv,
            args=flags,
            args_line=namespace_text(flags),
            config_name=self.spec.config.name,
            config=self.spec.config.data,
            start_epoch_ns=None if self.start_ns is None else self.start_ns + offset_ns,
            end_epoch_ns=self.end_ns + offset_ns,
            termination_flag=reason,
            termination=reason.name,
            is_success=not problem,
            message=problem,
            device_mode="cuda" if self.plan.gpus else "cpu",
            mps=self.sharing.state,
            events=list(self.plan.events),
            step_names=list(self.plan.step_names),
            replicas=self._described(),
            nodes=self._others.described() if self._others else [],
            provenance=self._provenance(),
            notes=[note for seen in self.seen for note in seen.notes],
            result_kind=f"{kind.__module__}.{kind.__qualname__}",
            faults=self.faults.played(offset_ns),
            full_queue=self._full_queue(),
            server=self.spec.config.data["server"] if self.spec.server else None,
            start_up=list(self.phases),
            cores_of_clients=sorted(self._cores_of_clients),
            jobs=self._jobs(),
        )

    def _described(self) -> list[dict[str, Any]]:
        described = self._replicas.described()
        if self._others is not None:
            described = sorted(
                [*described, *self._others.replicas()], key=lambda one: (one["step"], one["replica"])
            )
        return described

    def _jobs(self) -> Jobs | None:
        if self._recovery is None:
            return None
        log = self._recovery.log
        return Jobs(
            num_deaths=log.count("died"),
            num_recycled=log.count("recycled"),
            num_tries=log.count("tried again"),
            num_touched=len(self._recovery.reasons),
        )

    def _provenance(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for observer in self.observers:
            if isinstance(observer, MachineObserver):
                found |= observer.facts()
        for seen in self.seen:
            found |= seen.facts
        return found

    def _full_queue(self) -> str | None:
        return next((told[0] for told in self._supervisor.told("queue_full").values()), None)

    def _problem(self) -> str:
        """Why the run failed, in one line; empty when it did not."""
        reason = self.fabric.stop.reason
        if self._supervisor.failure is not None:
            return self._supervisor.failure
        if (full := self._full_queue()) is not None:
            return f"{full} is full: the current placement cannot handle the input stream"
        if reason is Termination.INTERRUPTED:
            return "interrupted"
        if reason is not Termination.TARGET_NUM_VIDEOS_REACHED:
            return "the processes ended, but some requests were lost"
        outcomes, accepted = self._table.outcomes, self.spec.limits.max_failures
        has_failed = np.isin(outcomes["status"], (FAILED, REFUSED))
        num_failed = np.count_nonzero(has_failed)
        if num_failed <= accepted:
            return ""
        first = outcomes["reason"][has_failed][0].decode(errors="replace")
        return (
            f"{num_failed} of {self._table.num_requests} requests failed, more than --max-failures"
            f" {accepted}; the first: {first}"
        )


def _of_sequences(schedule: Schedule) -> dict[str, NDArray[Any]]:
    return {} if schedule.sequences is None else {SEQUENCE: schedule.sequences.ids}


def _request_columns(table: Table, schedule: Schedule, class_names: Sequence[str]) -> dict[str, NDArray[Any]]:
    outcomes = table.outcomes
    numbers = np.arange(len(outcomes))
    reasons = [reason.decode(errors="replace") for reason in outcomes["reason"].tolist()]
    return {
        "request_id": numbers,
        **_of_sequences(schedule),
        "video": np.array(schedule.payload_of_each(), dtype=object),
        "arrival_ns": schedule.arrivals_ns,
        "is_warmup": numbers < schedule.num_warmup,
        "status": np.array(STATUS_NAMES, dtype=object)[outcomes["status"]],
        "reason": np.array(reasons, dtype=object),
        "num_clips": outcomes["num_clips"].copy(),
        **size_columns(outcomes),
        "label": outcomes["label"].copy(),
        "score": outcomes["score"].copy(),
        **class_columns(outcomes["label"], class_names),
        **{name: column.copy() for name, column in table.served_by_columns().items()},
    }
