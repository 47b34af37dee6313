"""Replicas that die or wear out, and the processes that take their place.

What a dead one had under way is set right first: its messages that wait for the next step are taken out of
the queue, and the slots that it held come back. What becomes of the requests that it had, and whether it is
replaced at all, its `Keeper` says.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from rnb.contract.termination import Termination
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.processes.jobs import JobRules
from rnb.processes.run_log import RunLog
from rnb.processes.supervisor import Child, Supervisor, send
from rnb.transport.fabric import Fabric, Handles, Log, Pool, Queue, Table
from rnb.transport.message import Message

DONE = Termination.TARGET_NUM_VIDEOS_REACHED
NEVER = math.inf
TRY_AGAIN_S = 1.0


class Keeper(Protocol):
    """Decides what follows from a death; replicas go by their place in the plan."""

    def wait_s(self, replica: int, how: str) -> float | None:
        """After how long a replica that died is replaced; NEVER: it is not; None: that ends the run."""

    def lost(self, replica: int, reason: str) -> None:
        """A replica has died, and nothing of what it had is on its way any more."""


class Replacement:
    """Of the replicas of one plan; it is made before their processes, which get its `rules`."""

    def __init__(
        self,
        *,
        plan: Plan,
        fabric: Fabric,
        table: Table,
        queues: Sequence[Queue],
        pools: Sequence[Pool],
        keeper: Keeper,
        is_replaceable: bool,
        incidents: Log | None = None,
    ) -> None:
        """`is_replaceable`: whether it may go on when one dies; `incidents`: see JobRules."""
        self._plan, self._fabric, self._table = plan, fabric, table
        self._queues, self._pools, self._keeper = queues, pools, keeper
        self._is_replaceable, self._incidents = is_replaceable, incidents
        self._numbers = {replica.name: number for number, replica in enumerate(plan.replicas)}
        self._retirements = fabric.numbers(np.zeros(len(plan.replicas), np.int64))
        self._children: list[Child | None] = [None] * len(plan.replicas)
        self._heirs: dict[int, bool] = {}
        """Replicas whose new process is not ready yet, and whether it has the handles of all slots."""
        self._vacant: dict[int, float] = {}
        """Replicas without a process, and when they get one, by the clock of time.monotonic."""
        self._start_ns: int | None = None
        self._is_over = False
        self.log = RunLog(fabric.clock)

    def rules(self, replica: ReplicaPlan) -> JobRules:
        """What its process is told."""
        has_others = self._incidents is not None and all(
            self._plan.queues[queue].num_readers > 1 for queue in replica.in_queues
        )
        return replace(
            self.rules_of(self._numbers[replica.name]),
            is_replaceable=self._is_replaceable,
            has_others=has_others,
            recycle_after=replica.recycle_after,
        )

    def rules_of(self, number: int) -> JobRules:
        """What any process is told that takes requests; see JobRules."""
        return JobRules(
            number=number,
            is_replaceable=False,
            has_others=False,
            recycle_after=None,
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
        self._supervisor = supervisor
        for child in supervisor.children:
            if child.name in self._numbers:
                self._children[self._numbers[child.name]] = child
                self.log.note("started", child.name, child.process.pid)
        supervisor.take_overs.append(self._take_over)

    @property
    def away(self) -> set[int]:
        """Replicas that do not serve now."""
        return {*self._heirs, *self._vacant}

    def look(self) -> None:
        """To be called often."""
        self._fill_vacancies()
        for number, child in enumerate(self._children):
            assert child is not None
            if number in self._heirs:
                self._help_to_start(number, child)
            elif number not in self._vacant and "worn" in child.told:
                self._recycle(number, child)

    def _fill_vacancies(self) -> None:
        for number in [one for one, due in self._vacant.items() if time.monotonic() >= due]:
            try:
                self._replace(number)
                del self._vacant[number]
            except OSError:  # this machine has no file or process left for it now
                self._vacant[number] = time.monotonic() + TRY_AGAIN_S

    def end(self) -> None:
        """Nothing is left to do: nobody is replaced any more."""
        self._is_over = True
        for number in list(self._heirs):
            self._dismiss(number)
        while self._vacant:
            number, _ = self._vacant.popitem()
            self._pass_on_end(number)

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
        reason = f"{child.name} (pid {child.process.pid}) {how}"
        wait_s = self._keeper.wait_s(number, reason)
        if wait_s is None:
            return False
        _end_group(child)
        self._clear(number)
        self._keeper.lost(number, reason)
        self._heirs.pop(number, None)
        self._vacant[number] = time.monotonic() + wait_s
        self._fill_vacancies()
        return True

    def _clear(self, number: int) -> None:
        """Take what it had under way out of queues and slots."""
        replica = self._plan.replicas[number]
        for queue in (*replica.in_queues, *self._out_queues(replica)):
            self._queues[queue].sift(lambda message: self._is_of(message, number))
        for pool in replica.in_pools:
            self._pools[pool].let_go(number)
        if replica.out_pool is not None:
            self._pools[replica.out_pool].reclaim()

    def _is_of(self, message: Message, number: int) -> bool:
        """Whether a replica made it, or was the last to take what is in it."""
        if message.slot is not None and message.slot.pool == self._plan.replicas[number].out_pool:
            return True
        return any(self._table.is_held(request, number) for request in message.requests)

    # ---------------------------------------------------------------- processes that replace others

    def _recycle(self, number: int, child: Child) -> None:
        """One that asked for it: let it end when no other replica of its step is away, then replace it."""
        if "retired" in child.told:
            send([child], "exit")
            if child.process.exitcode is not None and child.has_heir:
                child.has_heir = False
                _end_group(child)
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
            one.step == step and (other in self.away or self._retirements.values[other])
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
            for before in [one for one in self._supervisor.children if one.name == child.name]:
                if before is not child:
                    self._supervisor.forget(before)
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
        for queue in self._out_queues(self._plan.replicas[number]):
            self._queues[queue].close()

    def _out_queues(self, replica: ReplicaPlan) -> list[int]:
        return [place for queue in replica.out_queues for place in self._plan.places_of(queue)]


def _end_group(child: Child) -> None:
    """What the step of a process that has ended had started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid or 0, signal.SIGKILL)
