"""What each node does itself about requests that fail and replicas that die or wear out.

It takes back what a dead one had under way, and starts the process that takes its place
(rnb/processes/replacement.py). What becomes of the requests the driver says, which is told of each
(rnb/processes/recovery.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnb.pipeline.parts import Part
from rnb.processes.jobs import Incident, JobRules, follow_incidents
from rnb.processes.replacement import Replacement
from rnb.transport.fabric import GIVEN_UP, UNFINISHED, Fabric, Pool, Queue, Table


class Trouble(NamedTuple):
    """A request that did not get through a step."""

    request_id: int
    replica: str
    is_lost: bool
    """Whether it went with the memory of a process; else the step refused it."""
    reason: str


class NodeJobs:
    """Of one node of a run; it is made before the processes there."""

    def __init__(
        self,
        *,
        restarts: int,
        part: Part,
        fabric: Fabric,
        table: Table,
        queues: Sequence[Queue],
        pools: Sequence[Pool],
        tell: Callable[[Trouble], None],
    ) -> None:
        """`restarts`: how often each replica is replaced that has died."""
        self._restarts, self._table, self._tell = restarts, table, tell
        self._names = [*(one.name for one in part.plan.replicas), *(one.name for one in part.bridges)]
        self.num_replicas = len(part.plan.replicas)
        self._replaces_nodes = part.plan.replaces_nodes
        self._num_deaths = [0] * self.num_replicas
        self._incidents = fabric.log()
        self.is_over = False
        """Whether all requests of the run have their outcome, as far as is known here."""
        self.replacement = Replacement(
            plan=part.plan,
            fabric=fabric,
            table=table,
            queues=queues,
            pools=pools,
            keeper=self,
            is_replaceable=restarts > 0,
            incidents=self._incidents,
        )

    def rules_of_bridge(self, number: int) -> JobRules:
        """What the n-th bridge here is told: what it carries is no more in the name of who made it."""
        return replace(
            self.replacement.rules_of(self.num_replicas + number), is_replaceable=self._replaces_nodes
        )

    def look(self, is_complete: bool) -> None:
        """To be called often; `is_complete`: whether all requests of the run have their outcome."""
        self.tell_incidents()
        if is_complete and not self.is_over:
            self.is_over = True
            self.replacement.end()
        self.replacement.look()

    def tell_incidents(self) -> None:
        """Of requests that did not get through here."""
        for incident in follow_incidents(self._incidents):
            reason = f"{self._names[incident.replica]}: {incident.reason}"
            self._give_up(incident._replace(reason=reason))

    def lose(self, request_id: int, number: int, reason: str) -> None:
        """One in no process's name; `number`: of the replica or bridge that it would have come to."""
        self._give_up(Incident(request_id, number, True, reason))

    def _give_up(self, incident: Incident) -> None:
        """It is nowhere here any more: the driver may send it again."""
        request_id, number, is_lost, reason = incident
        self._table.holders[request_id], self._table.shunned[request_id] = GIVEN_UP, number
        self._tell(Trouble(request_id, self._names[number], is_lost, reason))

    # ---------------------------------------------------------------- replicas that die; see Keeper

    def wait_s(self, replica: int, how: str) -> float | None:
        self._num_deaths[replica] += 1
        return 0.0 if self._num_deaths[replica] <= self._restarts else None

    def lost(self, replica: int, reason: str) -> None:
        self.tell_incidents()
        is_held = (self._table.holders == replica) & (self._table.outcomes["status"] == UNFINISHED)
        for request_id in np.flatnonzero(is_held).tolist():
            self._give_up(Incident(request_id, replica, True, reason))
