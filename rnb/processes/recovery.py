"""What the driver does about requests that fail and replicas that die or wear out: try again, replace.

One rule brings back what a dead replica had: each request that it was the last to take begins again at the
first step (what it had under way is taken back first, see rnb/processes/replacement.py). The driver alone
sends a request again, and only one that is nowhere else: no request is ever in two places.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rnb.contract.request import Request
from rnb.pipeline.plan import Plan
from rnb.processes.jobs import Incident, follow_incidents
from rnb.processes.replacement import Replacement
from rnb.processes.run_log import RunLog
from rnb.transport.fabric import NOBODY, UNFINISHED, Fabric, Pool, Queue, Table
from rnb.transport.message import Message


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
    """Of one run; it is made before its processes."""

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
        self._allowed, self._plan, self._table = allowed, plan, table
        self._queues, self._request_of = queues, request_of
        self._incidents = fabric.log()
        self._num_deaths = [0] * len(plan.replicas)
        self._is_over = False
        self.replacement = Replacement(
            plan=plan,
            fabric=fabric,
            table=table,
            queues=queues,
            pools=pools,
            keeper=self,
            is_replaceable=allowed.restarts > 0,
            incidents=self._incidents,
        )
        self.reasons: dict[int, list[str]] = defaultdict(list)
        """Of each request that was tried again or has failed: what became of each try, in words."""
        self.attempts = np.ones(table.num_requests, np.int64)
        queues[0].open()  # requests may come back until all have their outcome

    @property
    def log(self) -> RunLog:
        return self.replacement.log

    def look(self, is_complete: bool) -> None:
        """To be called often; `is_complete`: whether all requests have their outcome."""
        self._handle_incidents()
        if is_complete and not self._is_over:
            self._is_over = True
            self._queues[0].close()
            self.replacement.end()
        self.replacement.look()

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

    def wait_s(self, replica: int, how: str) -> float | None:
        self._num_deaths[replica] += 1
        return 0.0 if self._num_deaths[replica] <= self._allowed.restarts else None

    def lost(self, replica: int, reason: str) -> None:
        self._handle_incidents()
        is_held = (self._table.holders == replica) & (self._table.outcomes["status"] == UNFINISHED)
        for request_id in np.flatnonzero(is_held).tolist():
            incident = Incident(request_id, replica, True, reason)
            self._try_again(incident, self._most_tries(is_failure=False), reason)


def is_complete(table: Table) -> bool:
    """Whether every request has its outcome."""
    return table.count(UNFINISHED) == 0
