"""What a replica does more where requests are tried again, or replicas replaced: it says what it has.

`rnb/processes/replacement.py` and `rnb/processes/recovery.py` are the driver's part.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rnb.load.source import Numbers
from rnb.processes.whereabouts import leave
from rnb.transport.fabric import EndOfStream, Log, Pool, ReadingEnd, Table
from rnb.transport.message import Message

LOST = "its data went with the replica that had made them"
PASS_ON_S = 0.002
"""Whoever leaves a request to others waits so long, lest it takes the same one again and again."""


class Retired(EndOfStream):
    """Another process is to take the place of this one, which takes no more messages."""


class Incident(NamedTuple):
    """A request that did not get through a step."""

    request_id: int
    replica: int
    """Its place in the plan."""
    is_lost: bool
    """Whether it went with the memory of another replica; else the step refused it."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class JobRules:
    """Of one replica, or bridge."""

    number: int
    """Its place in the plan; bridges come after all replicas."""
    is_replaceable: bool
    """Whether the run goes on when its process dies."""
    has_others: bool
    """Whether another replica takes from each of its queues."""
    recycle_after: int | None
    """After how many requests it asks to be replaced."""
    incidents: Log | None
    """Where what fails is told, as the driver knows whether it is tried again; None: it has failed."""
    retirements: Numbers
    """By replica; not 0: it is to end."""

    def sink(self, table: Table) -> Failures:
        """Where to tell what fails, or is lost."""
        return table if self.incidents is None else _ToDriver(self.number, self.incidents)


class Failures(Protocol):
    """What is told of requests that got no result; see Sink."""

    def fail(self, request_id: int, reason: str) -> None: ...

    def lose(self, request_id: int, reason: str) -> None: ...


@dataclass(frozen=True)
class _ToDriver:
    """In the place of the table: whether it is tried again the driver knows."""

    number: int
    incidents: Log

    def fail(self, request_id: int, reason: str) -> None:
        self._tell(request_id, reason, is_lost=False)

    def lose(self, request_id: int, reason: str) -> None:
        self._tell(request_id, reason, is_lost=True)

    def _tell(self, request_id: int, reason: str, *, is_lost: bool) -> None:
        self.incidents.append(request_id, pickle.dumps((self.number, is_lost, reason)))


def follow_incidents(log: Log) -> Iterator[Incident]:
    """Those that have come since the last time."""
    for request_id, data in log.follow():
        yield Incident(request_id, *pickle.loads(data))


@dataclass(frozen=True)
class Claims:
    """What a process takes is in its name from then on."""

    number: int
    """Who it is; see JobRules."""
    table: Table
    pools: Mapping[int, Pool]

    def claim(self, message: Message) -> None:
        """Before the queue forgets it."""
        for request in message.requests:
            self.table.claim(request, self.number)
        self._hold(message)

    def take_away(self, message: Message) -> None:
        """The same of a bridge."""
        leave(self.table, message.requests, self.number)
        self._hold(message)

    def _hold(self, message: Message) -> None:
        if message.slot is not None:
            self.pools[message.slot.pool].hold(message.slot.number, self.number)


class JobQueue:
    """The input of a replica: it claims what it takes, leaves to others what it failed, and retires."""

    def __init__(
        self,
        queue: ReadingEnd,
        rules: JobRules,
        *,
        table: Table,
        pools: Mapping[int, Pool],
        ask_to_retire: Callable[[], None],
    ) -> None:
        self._queue, self._rules, self._table = queue, rules, table
        self._claim = Claims(rules.number, table, pools).claim
        self._ask_to_retire = ask_to_retire
        self._left = rules.recycle_after or 0
        self._counting = threading.Lock()

    def take(self, timeout_s: float, *, poll_s: float = 0) -> Message:
        """As of Inlet; raises Retired when this replica is to be replaced."""
        if self._rules.retirements.values[self._rules.number]:
            raise Retired
        message = self._queue.take(timeout_s, poll_s=poll_s, claim=self._claim)
        if self._rules.has_others and self._shuns(message):
            self._queue.put_back(message)
            time.sleep(PASS_ON_S)
            raise TimeoutError
        if self._rules.recycle_after:
            self._count(len(message.requests))
        return message

    def _shuns(self, message: Message) -> bool:
        return any(self._table.shunned[one.id] == self._rules.number for one in message.requests)

    def _count(self, num_requests: int) -> None:
        with self._counting:
            was_left, self._left = self._left, self._left - num_requests
            if was_left > 0 >= self._left:
                self._ask_to_retire()
