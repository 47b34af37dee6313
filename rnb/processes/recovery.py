"""What the driver does about requests that fail and replicas that die or wear out: try again, replace.

One rule brings back what a dead replica had: each request that it was the last to take begins again at the
first step. So its messages that wait for the next step are taken out of the queue, and the slots that it
held come back. The driver alone sends a request again, and only one that is nowhere else: no request is ever
in two places.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.processes.jobs import Incident, JobRules, follow_incidents
from rnb.processes.run_log import RunLog
from rnb.processes.supervisor import Child, Supervisor, send
from rnb.transport.fabric import (
    NOBODY,
    UNFINISHED,
    Fabric,
    Handles,
    Pool,
    Queue,
    Table,
)
from rnb.transport.message import Message

DONE = Termination.TARGET_NUM_VIDEOS_REACHED


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What the flags allow."""

    retries: int | None
    """How often a request is tried again; None: one that fails not at all, one whose replica died always."""
    restarts: int
    """How often each replica is replaced that has died."""
    is_loss_final: bool = False
    """Whether a request whose replica died has failed, as that of a sequence, which must not come late."""


class Recovery:
    """Of one run; it is made before its processes, which get its `rules`."""

    def __init__(
        self,
        *,
        allowed: Allowed,
        plan: Plan,
        fabric: Fabric,
        table: Table,
        queues: Sequence[Queue],
        pools: Sequence[Pool],
        request_of: Callable[[int], Request],
    ) -> None:
        """`request_of`: a request as its client sent it, by its id."""
        self._allowed, self._plan, self._fabric, self._table = allowed, plan, fabric, table
        self._queues, self._pools, self._request_of = queues, pools, request_of
        self._numbers = {replica.name: number for number, replica in enumerate(plan.replicas)}
        self._incidents = fabric.log()
        self._retirements = fabric.numbers(np.zeros(len(plan.replicas), np.int64))
        self._num_deaths = [0] * len(plan.replicas)
        self._children: list[Child | None] = [None] * len(plan.replicas)
        self._heirs: dict[int, bool] = {}
        """Replicas whose new process is not ready yet, and whether it has the handles of all slots."""
        self._start_ns: int | None = None
        self._is_over = False
        self.log = RunLog(fabric.clock)
        self.reasons: dict[int, list[str]] = defaultdict(list)
        """Of each request that was tried again or has failed: what became of each try, in words."""
        self.attempts = np.ones(table.num_requests, np.int64)
        queues[0].open()  # requests may come back until all have their outcome

    def rules(self, replica: ReplicaPlan) -> JobRules:
        """What its process is told."""
        return JobRules(
            number=self._numbers[replica.name],
            is_replaceable=self._allowed.restarts > 0,
            has_others=self._plan.queues[replica.in_queue].num_readers > 1,
            recycle_after=replica.recycle_after,
            incidents=self._incidents,
            retirements=self._retirements,
        )

    def begin(
        self,
        start_ns: int,
        *,
        supervisor: Supervisor,
        spawn: Callable[[ReplicaPlan], Child],
        handles: Callable[[], Handles],
        replaced: Callable[[str, int], None],
    ) -> None:
        """The timed part begins: from now on the run goes on without a replica.

        Args:
            spawn: starts a new process of a replica.
            handles: the slots of all replicas.
            replaced: is told of a replica's new process, by its name and pid.
        """
        self._start_ns, self._spawn, self._handles, self._replaced = start_ns, spawn, handles, replaced
        for child in supervisor.children:
            if child.name in self._numbers:
                self._children[self._numbers[child.name]] = child
                self.log.note("started", child.name, child.process.pid)
        supervisor.take_over = self._take_over

    def look(self, is_complete: bool) -> None:
        """To be called often; `is_complete`: whether all requests have their outcome."""
        self._handle_incidents()
        if is_complete and not self._is_over:
            self._is_over = True
            self._queues[0].close()
            for number in list(self._heirs):
                self._dismiss(number)
        for number, child in enumerate(self._children):
            assert child is not None
            if number in self._heirs:
                self._help_to_start(number, child)
            elif "worn" in child.told:
                self._recycle(number, child)

    # ---------------------------------------------------------------- requests

    def _handle_incidents(self) -> None:
        for incident in follow_incidents(self._incidents):
            replica = self._plan.replicas[incident.replica]
            most = self._most_tries(is_failure=not incident.is_lost)
            self._try_again(incident, most, f"{replica.name}: {incident.reason}")

    def _most_tries(self, *, is_failure: bool) -> float:
        """A request that failed is tried again where that was asked for; one that was lost, always."""
        if self._allowed.retries is None:
            return 1 if is_failure or self._allowed.is_loss_final else math.inf
        return 1 + self._allowed.retries

    def _try_again(self, incident: Incident, most: float, reason: str) -> None:
        request_id, name = incident.request_id, self._plan.replicas[incident.replica].name
        attempt = int(self.attempts[request_id])
        self.reasons[request_id].append(reason)
        note = partial(self.log.note, replica=name, request_id=request_id, attempt=attempt, reason=reason)
        if attempt >= most:
            note("gave up")
            self._table.fail(request_id, "; ".join(self.reasons[request_id]))
            return
        note("tried again")
        self.attempts[request_id] += 1
        self._forget(request_id)
        self._table.shunned[request_id] = incident.replica
        self._queues[0].put_back(Message(None, (self._request_of(request_id),), ((),)))

    def _forget(self, request_id: int) -> None:
        """What the try before has left: the times of its steps, and who had it."""
        for event in self._plan.events:
            if event.step is not None:
                self._table.column(event)[request_id] = 0
        self._table.holders[request_id] = NOBODY

    # ---------------------------------------------------------------- replicas that die

    def _take_over(self, child: Child, how: str) -> bool:
        """After a death, told by its supervisor: whether the run goes on."""
        number = self._numbers.get(child.name)
        if number is None or self._fabric.stop.reason not in (Termination.UNSET, DONE):
            return False
        child.has_heir = False
        self.log.note("died", child.name, child.process.pid, reason=how)
        if self._is_over:
            # Its part in the end of the stream may be undone; there is nothing left that the others could do.
            self._fabric.stop.raise_flag(DONE)
            return True
        self._num_deaths[number] += 1
        if self._num_deaths[number] > self._allowed.restarts:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid or 0, signal.SIGKILL)  # what its step had started
        self._bring_back(number, f"{child.name} (pid {child.process.pid}) {how}")
        self._replace(number)
        return True

    def _bring_back(self, number: int, reason: str) -> None:
        self._handle_incidents()
        replica, holders = self._plan.replicas[number], self._table.holders
        for queue in (replica.in_queue, *replica.out_queues):
            self._queues[queue].sift(lambda message: _is_of(message, holders, number))
        for pool in replica.in_pools:
            self._pools[pool].let_go(number)
        if replica.out_pool is not None:
            self._pools[replica.out_pool].reclaim()
        is_held = (holders == number) & (self._table.outcomes["status"] == UNFINISHED)
        for request_id in np.flatnonzero(is_held).tolist():
            incident = Incident(request_id, number, True, reason)
            self._try_again(incident, self._most_tries(is_failure=False), reason)

    # ---------------------------------------------------------------- processes that replace others

    def _recycle(self, number: int, child: Child) -> None:
        """One that asked for it: let it end when no other replica of its step is away, then replace it."""
        if "retired" in child.told:
            send([child], "exit")
            if child.process.exitcode is not None and child.has_heir:
                child.has_heir = False
                self.log.note("recycled", child.name, child.process.pid)
                self._let_slots_go(number)
                self._replace(number)
        elif "finished" in child.told:
            child.has_heir = False  # the stream ended first
        elif not (child.has_heir or self._is_over or self._is_sibling_away(number)):
            child.has_heir = True
            self._retirements.values[number] = 1

    def _let_slots_go(self, number: int) -> None:
        """Those of a process that has ended, where they went with it: all of them had been read."""
        out_pool = self._plan.replicas[number].out_pool
        if out_pool is not None and not self._pools[out_pool].outlives_producer:
            self._pools[out_pool].reclaim()

    def _is_sibling_away(self, number: int) -> bool:
        step = self._plan.replicas[number].step
        return any(
            one.step == step and (other in self._heirs or self._retirements.values[other])
            for other, one in enumerate(self._plan.replicas)
        )

    def _replace(self, number: int) -> None:
        self._retirements.values[number] = 0
        if self._is_over:
            self._pass_on_end(number)
            return
        child = self._spawn(self._plan.replicas[number])
        self._children[number] = child
        self._heirs[number] = False
        self.log.note("replaced by", child.name, child.process.pid)
        self._replaced(child.name, child.process.pid or 0)

    def _help_to_start(self, number: int, child: Child) -> None:
        if "prepared" in child.told and not self._heirs[number]:
            self._heirs[number] = True
            send([child], "handles", self._handles())
        if "ready" in child.told:
            send([child], "start", self._start_ns)
            del self._heirs[number]
            self.log.note("started", child.name, child.process.pid)

    def _dismiss(self, number: int) -> None:
        """One that is not ready when all is done; the end of the stream is passed on in its name."""
        child = self._children[number]
        assert child is not None
        child.is_dead = True
        child.process.kill()
        del self._heirs[number]
        self._pass_on_end(number)

    def _pass_on_end(self, number: int) -> None:
        """Of the stream, in the name of a replica without a process."""
        for queue in self._plan.replicas[number].out_queues:
            self._queues[queue].close()


def is_complete(table: Table) -> bool:
    """Whether every request has its outcome."""
    return table.count(UNFINISHED) == 0


def _is_of(message: Message, holders: NDArray[np.int32], number: int) -> bool:
    """Whether its requests were taken last by this replica."""
    return any(holders[request.id] == number for request in message.requests)
