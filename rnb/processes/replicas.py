"""The replicas of a plan, with the queues and slots that join them: how their processes start, and what they
are told."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rnb.contract.probe import Probe
from rnb.contract.step import Context
from rnb.contract.termination import UsageError
from rnb.load.source import Numbers
from rnb.pipeline.plan import Plan, QueuePlan, ReplicaPlan
from rnb.pipeline.step_type import resolve
from rnb.processes.jobs import JobRules
from rnb.processes.runner import RunnerTask, run_replica
from rnb.processes.slowness import Slowdown
from rnb.processes.supervisor import Child, Supervisor
from rnb.processes.worker import Surroundings
from rnb.transport.backlog import BacklogQueue
from rnb.transport.fabric import ControlLine, Fabric, Handles, Log, Queue, ReadingEnd, Table, WritingEnd
from rnb.transport.message import sequence_of
from rnb.transport.patient_queue import PatientQueue
from rnb.transport.several_queues import SeveralQueues
from rnb.transport.spread_queue import SpreadQueue, Way
from rnb.transport.tcp.address_book import AddressBook
from rnb.transport.tcp.lane import Lane

IMPORTED = ("rnb.processes.runner", "rnb.processes.sender", "rnb.pipeline.step_type")
IMPORTED_ON_GPUS = (*IMPORTED, "torch", "triton", "av", "cv2")
"""What is not installed is left out. None of them uses CUDA, or starts a thread that a fork would miss, when
it is imported. Steps may do either, so each process imports its own."""

START_LEAD_NS = 20_000_000
"""The start lies this far ahead when it is announced, so that every process is awake by then."""

NUM_SAMPLES = 8
"""How many of the run's payloads a step gets to warm up with."""

POLLING_S = 0.02
"""How long a worker without a message looks often for one before it sleeps, where every worker and client has
a core to itself: an idle core takes 50 to 300 us to wake up, one that looks often 30."""


CPU_NICENESS = 10
"""Of replicas on the CPU in a run that uses GPUs (nice(2)): a thread that feeds a GPU needs a core for
moments, and while it waits for one, all that it feeds stands still. So does a step that hands requests on."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all replicas are told alike."""

    batch_timeout_ms: float
    seed: int
    checkpoint: str | None
    samples: Sequence[Any]
    """The first few payloads, to warm up with."""
    num_clients: int
    """How many processes send requests."""
    environment: Mapping[str, str]
    num_sequences: int = 0
    """How many are under way at once on this node; 0 where that is not known."""
    cores_of_clients: frozenset[int] = frozenset()
    """Which replicas leave to them."""
    max_lateness_ns: int | None = None
    """A request that comes later than that after it was due is dropped; None: none is."""
    probes: tuple[Probe, ...] = ()
    memory: Log | None = None
    is_replaceable: bool = False
    """Whether it goes on when one of them dies."""
    num_bridge_threads: int = 0
    """How many threads carry messages to other nodes and from them."""
    num_nodes_here: int = 1
    """How many nodes of the run share the CPUs of this machine."""
    token: bytes = b""
    """With which the processes of a run over several nodes know each other."""
    sends_files: bool = False
    """Whether the files that requests name go along to other nodes."""
    is_patient: bool = False
    """Whether they wait where a queue is full, instead of ending the run."""


class Replicas:
    """Of one plan; made before their processes."""

    def __init__(self, *, plan: Plan, fabric: Fabric, supervisor: Supervisor, setting: Setting) -> None:
        self._plan, self._fabric, self._supervisor, self._setting = plan, fabric, supervisor, setting
        self.queues = [self._queue(one) for one in plan.queues]
        self.pools = [
            fabric.pool(layout=one.layout, num_slots=one.num_slots, device=one.device) for one in plan.pools
        ]
        self.loads: Numbers = fabric.numbers(np.zeros(len(plan.queues), np.int64))
        """Of each queue that leads to another node, how many messages wait there."""
        lanes = {way.lane_to for queue in plan.queues for way in queue.ways if way.lane_to is not None}
        self.addresses = AddressBook(sorted(lanes), fabric.numbers)
        """Of the other nodes that writers here send to themselves."""
        self._num_cpus = share_of_cpus(setting.num_nodes_here)
        num_others = setting.num_clients + setting.num_bridge_threads
        self.poll_s = polling_s(
            sum(replica.workers for replica in plan.replicas),
            num_clients=num_others,
            num_cpus=self._num_cpus,
        )
        self.rules_of: Callable[[ReplicaPlan], JobRules | None] = lambda replica: None
        """What a replica does more where it may be replaced."""
        self.slowdowns_of: Callable[[ReplicaPlan], tuple[Slowdown, ...]] = lambda replica: ()

    def _queue(self, plan: QueuePlan) -> Queue:
        sizes = {"capacity": plan.capacity, "num_writers": plan.num_writers}
        if plan.keeps_sequences:
            return self._fabric.sequence_queue(plan.name, num_readers=max(1, plan.num_readers), **sizes)
        return self._fabric.queue(plan.name, **sizes)

    def spawn(self, replica: ReplicaPlan, table: Table) -> Child:
        """Start a process of a replica, which writes into this table."""
        return self._supervisor.spawn(
            replica.name,
            run_replica,
            partial(self._task, replica, table),
            rank=replica.step + 1,
            is_replaceable=self._setting.is_replaceable,
        )

    def get_ready(self, join: Callable[[], bool] = lambda: True) -> bool:
        """Wait until all that the supervisor started have passed the start barrier; False: the run was
        stopped first. `join`: is called when all are prepared, and joins this node to others."""
        if not self._supervisor.wait_for("prepared"):
            return False
        self._supervisor.send_all("handles", self.handles())
        return join() and self._supervisor.wait_for("ready")

    def start(self, start_ns: int | None = None) -> int:
        """Tell all of them when the timed part begins; returns that."""
        start_ns = start_ns or self._fabric.clock.now_ns() + START_LEAD_NS
        self._supervisor.send_all("start", start_ns)
        return start_ns

    def handles(self) -> Handles:
        """What each replica told about its slots, by pool."""
        told = self._supervisor.told("prepared")
        own = {
            replica.out_pool: told[replica.name][0]
            for replica in self._plan.replicas
            if replica.out_pool is not None
        }
        return {**dict.fromkeys(range(len(self.pools)), b""), **own}  # those of bridges need none

    def facts(self) -> dict[str, dict[str, Any]]:
        """What the step of each replica told of itself, by the name of its process."""
        told = self._supervisor.told("ready")
        names = [replica.name for replica in self._plan.replicas]
        return {name: told[name][0] or {} for name in names if name in told}

    def described(self) -> list[dict[str, Any]]:
        """As run.json has them."""
        pids, facts = self._supervisor.pids(), self.facts()
        return [
            replica.described(pid=pids.get(replica.name), facts=facts.get(replica.name, {}))
            for replica in self._plan.replicas
        ]

    def _task(self, replica: ReplicaPlan, table: Table, line: ControlLine) -> RunnerTask:
        setting = self._setting
        around = Surroundings(
            plan=replica,
            stop=self._fabric.stop,
            table=table,
            in_queue=self._reading_end(replica),
            out_queues=tuple(self.writing_end(queue, table) for queue in replica.out_queues),
            in_pools={pool: self.pools[pool] for pool in replica.in_pools},
            out_pool=None if replica.out_pool is None else self.pools[replica.out_pool],
            batch_timeout_ms=setting.batch_timeout_ms,
            max_lateness_ns=setting.max_lateness_ns,
            poll_s=self.poll_s,
            num_threads=threads_per_worker(self._plan, num_cpus=self._num_cpus),
            context=self._context(replica),
            slowdowns=self.slowdowns_of(replica),
            number=self._plan.replicas.index(replica),
            memory=setting.memory,
            jobs=self.rules_of(replica),
        )
        return RunnerTask(
            line=line,
            around=around,
            probes=setting.probes,
            environment=setting.environment,
            niceness=niceness(self._plan, replica),
            cores_of_clients=setting.cores_of_clients,
        )

    def _reading_end(self, replica: ReplicaPlan) -> ReadingEnd:
        ends = [
            self.queues[queue].of_reader(reader)
            for queue, reader in zip(replica.in_queues, replica.readers, strict=True)
        ]
        return ends[0] if len(ends) == 1 else SeveralQueues(ends)

    def writing_end(self, queue: int, table: Table) -> WritingEnd:
        """Of a queue, for who puts messages into it."""
        end = self._spread(queue, table)
        return PatientQueue(end, self._fabric.stop) if self._setting.is_patient else end

    def client_end(self, table: Table) -> WritingEnd:
        """Of the first queue, for a client."""
        plan, ways = self._plan.queues[0], self._ways(0, table)
        if len(ways) > 1 and not plan.keeps_sequences:
            return BacklogQueue(ways, capacity=plan.capacity, stop=self._fabric.stop)
        return self.writing_end(0, table)

    def _spread(self, number: int, table: Table) -> WritingEnd:
        if not (ways := self._ways(number, table)):
            return self.queues[number]
        return SpreadQueue(ways, key_of=sequence_of if self._plan.queues[number].keeps_sequences else None)

    def _ways(self, number: int, table: Table) -> list[Way]:
        return [
            Way(
                queue=self.queues[way.queue]
                if way.lane_to is None
                else self._lane(number, way.lane_to, table),
                num_readers=way.num_readers,
                loads=None if way.queue == number else self.loads,
                place=way.queue,
            )
            for way in self._plan.queues[number].ways
        ]

    def _lane(self, queue: int, node: int, table: Table) -> Lane:
        return Lane(
            self._plan.queues[queue].name,
            queue=queue,
            node=node,
            addresses=self.addresses,
            token=self._setting.token,
            stop=self._fabric.stop,
            table=table,
            sends_files=self._setting.sends_files and queue == 0,
        )

    def _context(self, replica: ReplicaPlan) -> Context:
        return Context(
            where=replica.device,
            inputs=replica.inputs,
            batch_size=replica.batch_size,
            seed=self._setting.seed,
            checkpoint=self._setting.checkpoint,
            samples=tuple(self._setting.samples),
            num_sequences=num_sequences(self._plan, replica, self._setting.num_sequences),
        )


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """What the machine refuses to a run is one line: memory, files, processes, semaphores."""
    try:
        yield
    except (OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not enough memory"
        raise UsageError(f"this machine cannot start the run: {reason or error}") from error


def share_of_cpus(num_nodes: int) -> int:
    """How many CPUs of this machine a node has that shares it with others of the same run."""
    return max(1, len(os.sched_getaffinity(0)) // num_nodes)


def polling_s(num_workers: int, *, num_clients: int, num_cpus: int) -> float:
    """For how long each of so many workers looks often for a message."""
    return POLLING_S if num_workers + num_clients + 1 <= num_cpus else 0.0


def niceness(plan: Plan, replica: ReplicaPlan) -> int:
    """How far a replica's process lets others go first."""
    waited_for = replica.device.is_gpu or plan.step_types[replica.step].cls.passes_on
    return CPU_NICENESS if plan.gpus and not waited_for else 0


def num_sequences(plan: Plan, replica: ReplicaPlan, num_at_once: int) -> int:
    """How many of all each worker of this replica is to expect."""
    return -(-num_at_once // sum(one.workers for one in plan.replicas if one.step == replica.step))


def imported(plan: Plan) -> tuple[str, ...]:
    """What the processes of a run are forked with; its steps have been imported here by now."""
    if plan.gpus:
        return IMPORTED_ON_GPUS
    needs_torch = any(resolve(replica.model).needs_torch for replica in plan.replicas)
    return (*IMPORTED, "torch") if plan.pools or needs_torch or "torch" in sys.modules else IMPORTED


def threads_per_worker(plan: Plan, *, num_cpus: int) -> int:
    """Share the cores among the workers that compute on the CPU."""
    num_workers = sum(replica.workers for replica in plan.replicas if not replica.device.is_gpu)
    return max(1, num_cpus // max(1, num_workers))
