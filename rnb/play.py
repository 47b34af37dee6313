"""One run from its schedule to its end: plan it, start its processes, wait, put together what happened.

    spec, schedule ─▶ plan ─▶ fabric and processes ─▶ start barrier ─▶ the timed part ─▶ end ─▶ Run, run
    folder

`play` may be called from any thread, as often as one likes. It prints nothing and handles no signals: whoever
calls it does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.request import Request
from rnb.contract.step import Context
from rnb.contract.termination import Termination, UsageError
from rnb.faults.plan import plan_faults
from rnb.faults.player import FaultPlayer
from rnb.load.schedule import Schedule
from rnb.load.source import ScheduleSource
from rnb.observe.machine import MachineObserver
from rnb.observe.observer import End, Observer, Seen, Start, Watched
from rnb.pipeline.plan import Plan, QueuePlan, ReplicaPlan
from rnb.processes.memory import Sample, samples_of
from rnb.processes.mps import Sharing, shared_gpus
from rnb.processes.recovery import Allowed, Recovery, is_complete
from rnb.processes.runner import RunnerTask, run_replica
from rnb.processes.sender import SenderTask, run_sender
from rnb.processes.supervisor import Child, Supervisor
from rnb.processes.worker import Surroundings
from rnb.record.meta import Jobs, RunMeta
from rnb.record.run import CLASS_NAME, SEQUENCE, Run
from rnb.record.run_folder import RunFolderError, write
from rnb.record.tables import EVENTS, MEMORY
from rnb.spec import RunSpec, keeps_jobs, plan_of
from rnb.transport.fabric import FAILED, STATUS_NAMES, ControlLine, Fabric, Log, Queue, Table
from rnb.transport.local.fabric import LocalFabric

DEFAULT_FABRIC = LocalFabric
"""What joins the processes of a run."""

CHILD_MODULES = ("rnb.processes.runner", "rnb.processes.sender", "rnb.pipeline.step_type")

START_LEAD_NS = 20_000_000
"""The start lies this far ahead when it is announced, so that every process is awake by then."""

NUM_SAMPLES = 8
"""How many of the run's payloads a step gets to warm up with."""

POLLING_S = 0.02
"""How long a worker without a message looks often for one before it sleeps, where every worker and client has
a core to itself: an idle core takes 50 to 300 us to wake up, one that looks often 30."""


@dataclass
class Interruption:
    """Ends a run from outside, from a handler of signals say."""

    is_set: bool = False

    def set(self) -> None:
        self.is_set = True


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
) -> Run:
    """Play a schedule through a pipeline.

    Args:
        plan: that of the run, where it is known already.
        folder: where the run is written, before this returns; None: it is not.
        observers: more of them than those that `spec` names.
        interruption: ends the run when it is set.
        warn: is called with lines that its user should see at once.
        fabric: what joins its processes; None: a DEFAULT_FABRIC.

    Returns:
        The run, whatever its end was: `run.meta.is_success` says whether it went well, `run.meta.message`
        what went wrong, and `run.traceback` where.

    Raises:
        UsageError: it cannot start as asked, or not on this machine; nothing runs.
    """
    plan = plan or plan_of(spec, num_requests=len(schedule))
    faults = FaultPlayer(plan_faults(spec.faults, plan, schedule))
    watching = [MachineObserver(), *spec.observers(), *observers, faults]
    with shared_gpus(plan, spec.placement.mps) as sharing, _ending(watching):
        with _starting():
            playing = _Playing(
                spec=spec,
                schedule=schedule,
                plan=plan,
                sharing=sharing,
                fabric=fabric or DEFAULT_FABRIC(_imported(plan)),
                observers=watching,
                faults=faults,
                interruption=interruption or Interruption(),
                warn=warn,
            )
        run = playing.play()
    run.folder = folder
    if folder is not None:
        _keep(run, folder)
        for observer in watching:
            observer.conclude(run)
    return run


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """What the machine refuses to a run is one line: memory, files, processes, semaphores."""
    try:
        yield
    except (OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not enough memory"
        raise UsageError(f"this machine cannot start the run: {reason or error}") from error


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
    sharing: Sharing
    fabric: Fabric
    observers: Sequence[Observer]
    faults: FaultPlayer
    interruption: Interruption
    warn: Callable[[str], None]
    start_ns: int | None = None
    """None until the start barrier is passed."""
    end_ns: int = 0
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._payloads = self.fabric.texts(self.schedule.payloads)
        self._payload_of = self.fabric.numbers(self.schedule.payload_of)
        self._arrivals_ns = self.fabric.numbers(self.schedule.arrivals_ns)
        self._table = self.fabric.table(num_requests=len(self.schedule), events=self.plan.events)
        self._queues = [self._queue(one) for one in self.plan.queues]
        self._pools = [
            self.fabric.pool(layout=one.layout, num_slots=one.num_slots, device=one.device)
            for one in self.plan.pools
        ]
        self._supervisor = Supervisor(self.fabric, lambda: self.interruption.is_set)
        self._memory = self.fabric.log() if self.spec.memory else None
        self._recovery = self._make_recovery() if keeps_jobs(self.spec, self.plan) else None
        found = [observer.probe(self.plan) for observer in self.observers]
        self._probes = tuple(probe for probe in found if probe is not None)
        self._poll_s = polling_s(
            self.plan, num_clients=self.spec.load.clients, num_cpus=len(os.sched_getaffinity(0))
        )

    def _queue(self, plan: QueuePlan) -> Queue:
        sizes = {"capacity": plan.capacity, "num_writers": plan.num_writers}
        if plan.keeps_sequences:
            return self.fabric.sequence_queue(plan.name, num_readers=plan.num_readers, **sizes)
        return self.fabric.queue(plan.name, **sizes)

    def _make_recovery(self) -> Recovery:
        limits = self.spec.limits
        return Recovery(
            allowed=Allowed(
                retries=limits.retries,
                restarts=limits.restart,
                is_loss_final=self.schedule.sequences is not None,
            ),
            plan=self.plan,
            fabric=self.fabric,
            table=self._table,
            queues=self._queues,
            pools=self._pools,
            request_of=self._request,
        )

    def _request(self, request_id: int) -> Request:
        return Request(request_id, self.schedule.payloads[self.schedule.payload_of[request_id]])

    def play(self) -> Run:
        try:
            with _starting():
                self.start_ns = self._start()
            self._wait()
        finally:
            self._supervisor.end()
        return self._run()

    def _start(self) -> int | None:
        """Start all processes and pass the start barrier; the start time, or None when that failed."""
        for number in range(self.spec.load.clients):
            name = "client" if self.spec.load.clients == 1 else f"client {number}"
            self._supervisor.spawn(name, run_sender, partial(self._sender_task, number))
        for replica in self.plan.replicas:
            self._spawn(replica)
        for observer in self.observers:
            observer.prepare(self._watched())
        if not self._supervisor.wait_for("prepared"):
            return None
        self._supervisor.send_all("handles", self._slot_handles())
        if not self._supervisor.wait_for("ready"):
            return None
        for observer in self.observers:
            observer.start(self._start_of(observer))
        start_ns = self.fabric.clock.now_ns() + START_LEAD_NS
        self._supervisor.send_all("start", start_ns)
        for observer in self.observers:
            observer.begin(start_ns)
        if self._recovery is not None:
            self._recovery.begin(
                start_ns,
                supervisor=self._supervisor,
                spawn=self._spawn,
                handles=self._slot_handles,
                replaced=self._tell_of_heir,
            )
        return start_ns

    def _spawn(self, replica: ReplicaPlan) -> Child:
        return self._supervisor.spawn(
            replica.name,
            run_replica,
            partial(self._runner_task, replica),
            rank=replica.step + 1,
            is_replaceable=self.spec.limits.restart > 0,
        )

    def _tell_of_heir(self, name: str, pid: int) -> None:
        for observer in self.observers:
            observer.replaced(name, pid)

    def _watched(self) -> Watched:
        return Watched(
            plan=self.plan,
            table=self._table,
            queues=self._queues,
            payloads=self.schedule.payloads,
            data=self.spec.load.data,
            num_warmup=self.schedule.num_warmup,
            clock=self.fabric.clock,
            warn=self.warn,
        )

    def _start_of(self, observer: Observer) -> Start:
        return Start(
            pids=self._supervisor.pids(),
            facts=self._facts(),
            told=self._told(observer),
        )

    def _told(self, observer: Observer) -> dict[str, list[Any]]:
        """What an observer's probes have told, by the name of the runner."""
        return {
            name: [value for whose, value in told if whose == observer.name]
            for name, told in self._supervisor.told("seen").items()
        }

    def _facts(self) -> dict[str, dict[str, Any]]:
        return {name: told[0] or {} for name, told in self._supervisor.told("ready").items()}

    def _sender_task(self, number: int, line: ControlLine) -> SenderTask:
        return SenderTask(
            line=line,
            stop=self.fabric.stop,
            table=self._table,
            queue=self._queues[0],
            source=ScheduleSource(
                all_arrivals_ns=self._arrivals_ns,
                payloads=self._payloads,
                payload_of=self._payload_of,
                number=number,
                num_clients=self.spec.load.clients,
                sequences=self.schedule.sequences,
            ),
            environment=self.sharing.environment,
        )

    def _runner_task(self, replica: ReplicaPlan, line: ControlLine) -> RunnerTask:
        max_lateness = self.spec.limits.max_lateness
        around = Surroundings(
            plan=replica,
            stop=self.fabric.stop,
            table=self._table,
            in_queue=self._queues[replica.in_queue].of_reader(replica.reader),
            out_queues=tuple(self._queues[queue] for queue in replica.out_queues),
            in_pools={pool: self._pools[pool] for pool in replica.in_pools},
            out_pool=None if replica.out_pool is None else self._pools[replica.out_pool],
            batch_timeout_ms=self.spec.placement.batch_timeout_ms,
            max_lateness_ns=None if max_lateness is None else int(max_lateness * 1e6),
            poll_s=self._poll_s,
            num_threads=_threads_per_worker(self.plan),
            context=self._context(replica),
            slowdowns=self.faults.slowdowns_of(replica),
            number=self.plan.replicas.index(replica),
            memory=self._memory,
            jobs=None if self._recovery is None else self._recovery.rules(replica),
        )
        environment = self.sharing.environment
        return RunnerTask(line=line, around=around, probes=self._probes, environment=environment)

    def _context(self, replica: ReplicaPlan) -> Context:
        return Context(
            where=replica.device,
            inputs=replica.inputs,
            batch_size=replica.batch_size,
            seed=self.spec.load.seed,
            checkpoint=self.spec.placement.checkpoint,
            samples=tuple(self.schedule.payloads[:NUM_SAMPLES]),
        )

    def _slot_handles(self) -> dict[int, bytes]:
        """What each replica told about its slots, by pool."""
        told = self._supervisor.told("prepared")
        return {
            replica.out_pool: told[replica.name][0]
            for replica in self.plan.replicas
            if replica.out_pool is not None
        }

    def _wait(self) -> None:
        """Wait for the end of the stream, or of the run."""
        if self.start_ns is None:
            self._supervisor.wait_until_over(lambda: None)
            self.end_ns = self.fabric.clock.now_ns()
            return
        self._supervisor.wait_until_over(self._look, self._is_complete)
        is_done = self._is_complete()
        if is_done:
            self.fabric.stop.raise_flag(Termination.TARGET_NUM_VIDEOS_REACHED)
        self.end_ns = int(self._table.times.max()) if is_done else self.fabric.clock.now_ns()
        self.seen = [observer.stop(self._end(observer, is_done)) for observer in self.observers]

    def _is_complete(self) -> bool:
        return is_complete(self._table)

    def _look(self) -> None:
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
            tables[MEMORY] = _memory_table(self._memory, self.plan, self.fabric.clock.epoch_offset_ns())
        return tables

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
            replicas=[self._replica(replica) for replica in self.plan.replicas],
            provenance=self._provenance(),
            notes=[note for seen in self.seen for note in seen.notes],
            result_kind=f"{kind.__module__}.{kind.__qualname__}",
            faults=self.faults.played(offset_ns),
            full_queue=self._full_queue(),
            jobs=self._jobs(),
        )

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

    def _replica(self, replica: ReplicaPlan) -> dict[str, Any]:
        pid, facts = self._supervisor.pids().get(replica.name), self._facts().get(replica.name, {})
        return replica.described(pid=pid, facts=facts)

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
        num_failed, accepted = self._table.count(FAILED), self.spec.limits.max_failures
        if num_failed <= accepted:
            return ""
        outcomes = self._table.outcomes
        first = outcomes["reason"][outcomes["status"] == FAILED][0].decode(errors="replace")
        return (
            f"{num_failed} of {self._table.num_requests} requests failed, more than --max-failures"
            f" {accepted}; the first: {first}"
        )


def polling_s(plan: Plan, *, num_clients: int, num_cpus: int) -> float:
    """For how long a worker of the plan looks often for a message."""
    num_busy = sum(replica.workers for replica in plan.replicas) + num_clients + 1
    return POLLING_S if num_busy <= num_cpus else 0.0


def _imported(plan: Plan) -> tuple[str, ...]:
    """What the processes of a run without a GPU need; those that use one must be spawned."""
    if plan.gpus:
        return ()
    return (*CHILD_MODULES, "torch") if plan.pools else CHILD_MODULES


def _threads_per_worker(plan: Plan) -> int:
    """Share the cores among the workers that compute on the CPU."""
    num_workers = sum(replica.workers for replica in plan.replicas if not replica.device.is_gpu)
    return max(1, len(os.sched_getaffinity(0)) // max(1, num_workers))


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
        **_sizes(outcomes),
        "label": outcomes["label"].copy(),
        "score": outcomes["score"].copy(),
        **_named(outcomes["label"], class_names),
        **{name: column.copy() for name, column in table.served_by_columns().items()},
    }


def _sizes(outcomes: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Width and height of the requests' pictures, 0 of none; no columns where no step says them."""
    is_told = bool(outcomes["width"].any())
    return {name: outcomes[name].copy() for name in ("width", "height")} if is_told else {}


def _named(labels: NDArray[Any], class_names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What the classes are called, empty for none; no column where they have no names."""
    if not class_names:
        return {}
    names = np.array([*class_names, ""], dtype=object)
    return {CLASS_NAME: names[np.where(labels < len(class_names), labels, -1)]}


def _memory_table(log: Log, plan: Plan, epoch_offset_ns: int) -> dict[str, NDArray[Any]]:
    """In the order in which the calls ended."""
    samples = list(samples_of(log))
    columns = np.array([sample for _, sample in samples], dtype=np.int64).reshape(-1, len(Sample._fields)).T
    table: dict[str, NDArray[Any]] = dict(zip(Sample._fields, columns, strict=True))
    names = np.array([plan.replicas[number].name for number, _ in samples], dtype=object)
    return {"at_ns": table.pop("at_ns") + epoch_offset_ns, "replica": names, **table}


def namespace_text(flags: dict[str, Any]) -> str:
    """Flags as snuspl/rnb writes them, who prints argparse's namespace."""
    return f"Namespace({', '.join(f'{name}={value!r}' for name, value in flags.items())})"
