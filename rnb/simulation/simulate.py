"""A run worked out from its plan, its schedule, and how long things take.

    spec, schedule, service times ─▶ plan ─▶ queues, slots, workers on one calendar ─▶ Run

It follows the rules of the real runner: bounded queues, slots and who waits for them, gathering by requests
or by clips with a timeout, turns, workers, segments and joins, the Batcher, selectors, one queue per GPU, and
the client's schedule. What it leaves out: sequences, requests that fail, faults, and steps that regroup by
rules of their own. Steps are taken to keep the number of rows that the first one makes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.contract.request import Batch
from rnb.contract.result import NO_CLASS
from rnb.contract.termination import Termination, UsageError
from rnb.load.schedule import Schedule
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.pipeline.selectors import make_selector
from rnb.record.meta import RunMeta
from rnb.record.run import Flags, Run, Table
from rnb.simulation.calendar import Calendar
from rnb.simulation.holding import holding_of
from rnb.simulation.lock import Lock
from rnb.simulation.message import Message, Piece
from rnb.simulation.queue import SimulatedQueue
from rnb.simulation.service_times import FREE, Costs, Lots, ServiceTimes, uniforms
from rnb.simulation.shared_resource import SharedResource, shared_by
from rnb.simulation.slots import Slots
from rnb.simulation.worker import Column, Replica, Stamps, Waiting, Worker
from rnb.spec import RunSpec, plan_of
from rnb.transport.fabric import FINISHED, REFUSED, STATUS_NAMES, QueueFull

NUM_MOST_STEPS = 1000
"""Apart from the seeds of the service times."""
NOTE = "simulated: no request was played; all times follow from measured service times"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a simulation takes the harness and the machine to be; by default they cost nothing and have no
    limit."""

    costs: Mapping[int, Costs] = field(default_factory=dict)
    """By step; what is not named is free."""
    lateness_ns: int = 0
    """Of the client."""
    send_ns: int = 0
    """From one request to the next, where several are due at once."""
    put_ns: int = 0
    """For so long a writer keeps the others from a queue."""
    take_ns: int = 0
    """For so long a reader does."""
    capacity: Mapping[str, float] = field(default_factory=dict)
    """Of what calls share: 'cpu' in cores, 'cuda:0' in GPUs, 'nvdec:0' in all video engines of one; what is
    not named has no limit."""
    demand: Mapping[tuple[int, bool], float] = field(default_factory=dict)
    """By step and whether it is on a GPU: what a call takes of it while it runs alone; by default 1."""
    lock: Mapping[tuple[int, bool], float] = field(default_factory=dict)
    """The same: for what share of a call it holds its process's lock (Python's GIL); by default none."""
    crowding: Mapping[tuple[int, bool], float] = field(default_factory=dict)
    """The same: how much longer a call takes that begins while all cores are in use; in proportion while some
    are; by default no longer."""
    host: Mapping[int, float] = field(default_factory=dict)
    """By step: how many cores a call on a GPU takes meanwhile; by default none."""


def simulate(
    spec: RunSpec,
    schedule: Schedule,
    services: ServiceTimes,
    *,
    around: Surroundings | None = None,
    plan: Plan | None = None,
) -> Run:
    """Work out what a schedule would do in a pipeline; the run says of itself that it is simulated.

    Raises:
        UsageError: it cannot run as asked, or has what cannot be simulated.
    """
    plan = plan or plan_of(spec, num_requests=len(schedule))
    if schedule.sequences is not None:
        raise UsageError("--sequences: sequences cannot be simulated")
    return Simulation(spec, schedule, services, around or Surroundings(), plan).run()


class Simulation:
    """One of them."""

    def __init__(
        self, spec: RunSpec, schedule: Schedule, services: ServiceTimes, around: Surroundings, plan: Plan
    ) -> None:
        self._spec, self._schedule, self._services = spec, schedule, services
        self._around, self._plan = around, plan
        self.calendar = Calendar()
        num_requests = len(schedule)
        self._times: dict[Event, Column] = {event: [-1] * num_requests for event in plan.events}
        self._served_by = {
            f"{who}{event.step}{'' if event.segment is None else f'-{event.segment}'}": [-1] * num_requests
            for event in plan.events
            if event.kind is EventKind.TAKEN
            for who in ("replica", "worker")
        }
        self._rows = [services.rows_of(request) for request in range(num_requests)]
        self._queues = [
            SimulatedQueue(
                self.calendar,
                name=one.name,
                capacity=one.capacity,
                num_writers=one.num_writers,
                writers=Lock(around.put_ns),
                readers=Lock(around.take_ns),
            )
            for one in plan.queues
        ]
        self._pools = [Slots(self.calendar, one.num_slots) for one in plan.pools]
        self._resources = {
            name: SharedResource(self.calendar, capacity) for name, capacity in around.capacity.items()
        }
        self._lots = [
            Lots(
                *(
                    uniforms(num_requests, spec.load.seed, NUM_MOST_STEPS + step, kind)
                    for kind in range(len(Lots._fields))
                )
            )
            for step in range(plan.num_steps)
        ]
        self._workers = [worker for one in plan.replicas for worker in self._workers_of(one)]
        self._full_queue: str | None = None
        self._refused: int | None = None

    def _workers_of(self, plan: ReplicaPlan) -> list[Worker]:
        replica, step_type = self._replica(plan), self._plan.step_types[plan.step]
        arriving = len(replica.stamps.taken)
        return [
            Worker(replica, number, self._selector(plan), holding_of(step_type, plan, arriving=arriving))
            for number in range(plan.workers)
        ]

    def _selector(self, plan: ReplicaPlan) -> Callable[[Batch], int]:
        queues = [self._queues[index] for index in plan.out_queues]
        return make_selector(plan.selector, len(queues), queues) if len(queues) > 1 else lambda batch: 0

    def _replica(self, plan: ReplicaPlan) -> Replica:
        step_type, around = self._plan.step_types[plan.step], self._around
        lock = around.lock.get((plan.step, plan.device.is_gpu), 0.0)
        takes_turns = plan.device.is_gpu and step_type.takes_turns and plan.workers > 1
        return Replica(
            plan=plan,
            calendar=self.calendar,
            services=self._services,
            costs=around.costs.get(plan.step, FREE),
            lots=self._lots[plan.step],
            stamps=self._stamps(plan.step),
            in_queues=[self._queues[index] for index in plan.in_queues],
            out_queues=[self._queues[index] for index in plan.out_queues],
            out_slots=None if plan.out_pool is None else self._pools[plan.out_pool],
            turn=Slots(self.calendar, 1) if takes_turns else None,
            resource=self._resources.get(shared_by(str(plan.device), decodes=step_type.decodes)),
            cores=self._resources.get("cpu"),
            host=around.host.get(plan.step, 0.0) if plan.device.is_gpu else 0.0,
            crowding=around.crowding.get((plan.step, plan.device.is_gpu), 0.0),
            demand=around.demand.get((plan.step, plan.device.is_gpu), 1.0),
            lock=SharedResource(self.calendar, 1.0) if lock and plan.workers > 1 else None,
            locked=lock,
            batches=step_type.batches_requests,
            timeout_ns=round(self._spec.placement.batch_timeout_ms * 1e6),
            most_rows=plan.inputs[0].most_rows if plan.inputs else 1,
            num_running=plan.workers,
        )

    def _stamps(self, step: int) -> Stamps:
        def columns(kind: EventKind) -> list[Column]:
            return [times for event, times in self._times.items() if event.whole == Event(kind, step)]

        served_by = self._served_by
        return Stamps(
            taken=columns(EventKind.TAKEN),
            waits_for_slot=columns(EventKind.WAITS_FOR_SLOT),
            started=columns(EventKind.STARTED),
            finished=columns(EventKind.FINISHED),
            has_slot=columns(EventKind.HAS_SLOT),
            handed_on=columns(EventKind.HANDED_ON),
            replica=_of_step(served_by, "replica", step),
            worker=_of_step(served_by, "worker", step),
        )

    def run(self) -> Run:
        for worker in self._workers:
            worker.start()
        client = self._client(self._sent_ns())
        self._resume_client = client.send
        next(client)
        try:
            self.calendar.play()
        except QueueFull as error:
            self._full_queue = str(error)
        return self._as_run()

    def _sent_ns(self) -> list[int]:
        """When the client sends each request: when it is due, and not before it has sent the one before."""
        due_ns = self._schedule.arrivals_ns + self._around.lateness_ns
        own_ns = np.arange(len(due_ns)) // self._spec.load.clients * self._around.send_ns
        sent_ns: list[int] = (np.maximum.accumulate(due_ns - own_ns) + own_ns).tolist()
        return sent_ns

    def _client(self, sent_ns: Sequence[int]) -> Waiting:
        queue, calendar, sent = self._queues[0], self.calendar, self._times[SENT]
        for request, time_ns in enumerate(sent_ns):
            calendar.at(time_ns, self._resume_client)
            yield
            if wait_ns := queue.writers.wait_ns(calendar.now_ns):
                calendar.at(calendar.now_ns + wait_ns, self._resume_client)
                yield
            try:
                queue.put(Message((Piece(request, 0, self._rows[request]),), None))
            except QueueFull:
                self._refused = request
                raise
            sent[request] = time_ns
        for _ in range(self._spec.load.clients):
            queue.close()
        yield

    def _as_run(self) -> Run:
        start_ns = time.time_ns()
        times = {event: np.array(column, dtype=np.int64) for event, column in self._times.items()}
        times[DUE] = np.array(self._schedule.arrivals_ns, dtype=np.int64)
        is_reached = {event: column >= 0 for event, column in times.items()}
        end_ns = max(int(column.max()) for column in times.values())
        last = Event(EventKind.FINISHED, self._plan.num_steps - 1)
        is_finished = is_reached[last]
        return Run(
            meta=self._meta(start_ns, start_ns + end_ns, is_complete=bool(is_finished.all())),
            times={event: np.where(is_reached[event], times[event] + start_ns, 0) for event in times},
            requests=self._columns(is_finished, is_reached[SENT]),
        )

    def _columns(self, is_finished: Flags, is_sent: Flags) -> Table:
        numbers = np.arange(len(self._schedule))
        status = np.full(len(numbers), "unfinished", dtype=object)
        status[is_finished] = STATUS_NAMES[FINISHED]
        if self._refused is not None:
            status[self._refused] = STATUS_NAMES[REFUSED]
        return {
            "request_id": numbers,
            "video": np.array(self._schedule.payload_of_each(), dtype=object),
            "arrival_ns": self._schedule.arrivals_ns,
            "is_warmup": numbers < self._schedule.num_warmup,
            "status": status,
            "reason": np.full(len(numbers), "", dtype=object),
            "num_clips": np.where(is_sent, np.array(self._rows, dtype=np.int32), 0),
            "label": np.full(len(numbers), NO_CLASS.label, dtype=np.int32),
            "score": np.full(len(numbers), NO_CLASS.score, dtype=np.float32),
            **{name: np.array(column, dtype=np.int32) for name, column in self._served_by.items()},
        }

    def _meta(self, start_ns: int, end_ns: int, *, is_complete: bool) -> RunMeta:
        spec, plan, flags = self._spec, self._plan, self._spec.flags()
        reason = Termination.TARGET_NUM_VIDEOS_REACHED
        message = "" if is_complete else "some requests never came to an end"
        if self._full_queue is not None:
            is_first = self._full_queue == plan.queues[0].name
            reason = Termination.FILENAME_QUEUE_FULL if is_first else Termination.FRAME_QUEUE_FULL
            message = f"{self._full_queue} is full: the current placement cannot handle the input stream"
        return RunMeta(
            argv=sys.argv,
            args=flags,
            args_line=repr(flags),
            config_name=spec.config.name,
            config=spec.config.data,
            start_epoch_ns=start_ns,
            end_epoch_ns=end_ns,
            termination_flag=reason,
            termination=reason.name,
            is_success=not message,
            message=message,
            device_mode="cuda" if plan.gpus else "cpu",
            mps="off",
            events=list(plan.events),
            step_names=list(plan.step_names),
            replicas=[replica.described(pid=None, facts={}) for replica in plan.replicas],
            provenance={},
            notes=[NOTE],
            full_queue=self._full_queue,
            is_simulated=True,
        )


def _of_step(served_by: Mapping[str, Column], who: str, step: int) -> list[Column]:
    """The columns of its segments, in their order, or that of whole requests."""
    whole = f"{who}{step}"
    return [column for name, column in served_by.items() if name.partition("-")[0] == whole]
