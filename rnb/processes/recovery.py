"""What the driver does about requests that did not get through: try again, or let them fail.

One rule brings back what a dead replica had: each request that it was the last to take begins again at the
first step (what it had under way is taken back first, see rnb/processes/replacement.py). The driver alone
sends a request again, and only one that is nowhere else: no request is ever in two places.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rnb.contract.request import Request
from rnb.pipeline.parts import Part
from rnb.pipeline.plan import Plan
from rnb.processes.node_jobs import NodeJobs, Trouble
from rnb.processes.run_log import RunLog
from rnb.processes.whereabouts import begin
from rnb.transport.fabric import NOBODY, UNFINISHED, Fabric, Pool, Queue, Stopped, Table, WritingEnd
from rnb.transport.message import Message
from rnb.transport.spread_queue import connect, disconnect


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What the flags allow."""

    retries: int | None
    """How often a request is tried again; None: one that fails not at all, one whose replica died always."""
    restarts: int
    """How often each replica is replaced that has died, and each node, and each connection between two."""
    is_loss_final: bool = False
    """Whether a request whose replica died has failed, as that of a sequence, which must not come late."""


class Recovery:
    """Of one run; it is made before its processes."""

    def __init__(
        self,
        *,
        allowed: Allowed,
        part: Part,
        fabric: Fabric,
        table: Table,
        queues: Sequence[Queue],
        pools: Sequence[Pool],
        first: WritingEnd,
        request_of: Callable[[int], Request],
        fail: Callable[[str], None],
    ) -> None:
        """`first`: of the first queue; `request_of`: a request as its client sent it, by its id; `fail`: is
        called when another node cannot be reached, which ends the run."""
        self._allowed, self._events, self._table, self._clock = allowed, part.plan.events, table, fabric.clock
        self._first, self._request_of, self._fail = first, request_of, fail
        self._troubles: list[Trouble] = []
        self.is_over = False
        """Whether all requests have their outcome."""
        self.node = NodeJobs(
            restarts=allowed.restarts,
            part=part,
            fabric=fabric,
            table=table,
            queues=queues,
            pools=pools,
            tell=self.take_up,
        )
        self.reasons: dict[int, list[str]] = defaultdict(list)
        """Of each request that was tried again or has failed: what became of each try, in words."""
        self.attempts = np.ones(table.num_requests, np.int64)
        self.began_ns = np.zeros(table.num_requests, np.int64)
        """When the last try of each request began, if it was not the first."""

    @property
    def restarts(self) -> int:
        """How often each replica, bridge and node is replaced that has died."""
        return self._allowed.restarts

    @property
    def log(self) -> RunLog:
        return self.node.replacement.log

    def connect(self) -> None:
        """To the nodes that have the first step, when all are ready."""
        try:
            connect([self._first])
        except Stopped:
            pass
        except ConnectionError as error:
            self._fail(str(error))

    def end(self) -> None:
        """However the run ended."""
        disconnect([self._first])

    def look(self, is_complete: bool) -> None:
        """To be called often; `is_complete`: whether all requests have their outcome."""
        self.node.look(is_complete)
        self.try_again()
        try:
            if is_complete and not self.is_over:
                self.is_over = True
                self._first.close()
        except Stopped:
            pass
        except ConnectionError as error:
            self._fail(str(error))

    def try_again(self) -> None:
        """What has been taken up, now."""
        self.node.tell_incidents()
        try:
            while self._troubles:
                self._try_again(self._troubles.pop(0))
        except Stopped:
            pass
        except ConnectionError as error:
            self._fail(str(error))

    def take_up(self, trouble: Trouble) -> None:
        """A request did not get through."""
        self._troubles.append(trouble)

    def _try_again(self, trouble: Trouble) -> None:
        request_id, reason = trouble.request_id, trouble.reason
        attempt = int(self.attempts[request_id])
        self.reasons[request_id].append(reason)
        note = partial(
            self.log.note, replica=trouble.replica, request_id=request_id, attempt=attempt, reason=reason
        )
        if attempt >= self._most_tries(is_failure=not trouble.is_lost):
            note("gave up")
            self._table.fail(request_id, "; ".join(self.reasons[request_id]))
            return
        note("tried again")
        self.attempts[request_id] += 1
        self.began_ns[request_id] = self._clock.now_ns()
        self._forget(request_id)
        begin(self._table, request_id, int(self.attempts[request_id]))
        self._first.put_back(Message(None, (self._request_of(request_id),), ((),)))

    def _most_tries(self, *, is_failure: bool) -> float:
        """A request that failed is tried again where that was asked for; one that was lost, always."""
        if self._allowed.retries is None:
            return 1 if is_failure or self._allowed.is_loss_final else math.inf
        return 1 + self._allowed.retries

    def _forget(self, request_id: int) -> None:
        """What the try before has left: the times of its steps, and who had it."""
        for event in self._events:
            if event.step is not None:
                self._table.column(event)[request_id] = 0
        self._table.holders[request_id] = NOBODY


def with_recovery(plan: Plan, *, replaces: bool, replaces_nodes: bool = False) -> Plan:
    """The driver writes into the first queue, too: requests may come back until all have their outcome."""
    first, *others = plan.queues
    queues = [dataclasses.replace(first, num_writers=first.num_writers + 1), *others]
    return dataclasses.replace(plan, queues=queues, replaces=replaces, replaces_nodes=replaces_nodes)


def is_complete(table: Table) -> bool:
    """Whether every request has its outcome."""
    return table.count(UNFINISHED) == 0
