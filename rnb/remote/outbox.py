"""Sends requests when they are due, whatever has become of those before, and notes what becomes of each.

Two things hold a request back. The next of a sequence goes out when the one before it has its answer, as only
so an order is certain; the wait is the server's, and counts as its time. And of requests without an answer
there may be `in_flight` at once: what is due beyond that is late, and the run says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from rnb.contract.events import SENT, Event, EventKind
from rnb.contract.request import Request
from rnb.contract.sequence import ID
from rnb.transport.clock import now_ns
from rnb.transport.fabric import Stop, Table

GONE_S = 5.0
"""A server that cannot be reached for so long, and answers nothing meanwhile, is gone."""
CHECK_S = 0.1


class ServerGone(Exception):
    """Nobody can be reached any more: one line."""


class Transport(Protocol):
    """Brings a request to the server; what becomes of it, it says to the outbox, once."""

    def transmit(self, request: Request) -> None: ...

    def close(self) -> None: ...


class Outbox:
    """Of one client process; used in its event loop only."""

    def __init__(self, table: Table, *, place: str, in_flight: int) -> None:
        """`place`: the server's, for messages."""
        self._table, self._place, self._most = table, place, in_flight
        self._sent, self._finished = table.stamp(SENT), table.stamp(Event(EventKind.FINISHED, 0))
        self._answered = table.stamp(Event(EventKind.ANSWERED, 0))
        self._num_in_flight = 0
        self._waiting: deque[Request] = deque()
        self._behind: dict[Any, deque[Request]] = {}
        """By sequence: what follows the request that is under way."""
        self._unreachable_since_ns = 0
        self._why_unreachable = ""
        self._bug: BaseException | None = None
        self.transport: Transport

    def post(self, request: Request) -> None:
        """A request is due."""
        sequence = request.parameters.get(ID) if request.parameters else None
        if sequence is not None:
            if sequence in self._behind:
                self._stamp_sent(request)
                self._behind[sequence].append(request)
                return
            self._behind[sequence] = deque()
        self._go(request)

    def _go(self, request: Request) -> None:
        if self._num_in_flight >= self._most:
            self._waiting.append(request)
            return
        self._num_in_flight += 1
        self._stamp_sent(request)
        self.transport.transmit(request)

    def _stamp_sent(self, request: Request) -> None:
        """Where it stood behind another of its sequence, it was sent before."""
        assert self._sent is not None
        if not self._table.column(SENT)[request.id]:
            self._sent(request, now_ns())

    def begins(self, request: Request) -> None:
        """The first byte of its answer is there."""
        assert self._answered is not None
        self._answered(request, now_ns())

    def finish(self, request: Request, make_result: Callable[[], Any] | None = None) -> None:
        """The answer is there; `make_result` gives what is kept of it, and fails for what is no answer."""
        self._end(request)
        try:
            self._table.finish(request.id, make_result() if make_result else None)
        except Exception as error:  # whatever the bytes of a server do to those who read them
            self._table.fail(request.id, f"answer: {error}")
        self._unreachable_since_ns = 0
        self._next(request)

    def fail(self, request: Request, reason: str, *, is_refused: bool = False) -> None:
        """The server says why it does not serve it, or it takes too long."""
        self._end(request)
        self._table.fail(request.id, f"refused by the server: {reason}" if is_refused else reason)
        if is_refused:
            self._table.refuse(request.id)
        self._next(request)

    def lose(self, request: Request, reason: str) -> None:
        """There is no connection, or it died."""
        self._unreachable_since_ns = self._unreachable_since_ns or now_ns()
        self._why_unreachable = reason
        self.fail(request, reason)

    def _end(self, request: Request) -> None:
        assert self._finished is not None
        self._finished(request, now_ns())
        self._num_in_flight -= 1

    def _next(self, request: Request) -> None:
        sequence = request.parameters.get(ID) if request.parameters else None
        if sequence is not None:
            if self._behind[sequence]:
                self._go(self._behind[sequence].popleft())
            else:
                del self._behind[sequence]
        if self._waiting and self._num_in_flight < self._most:
            self._go(self._waiting.popleft())

    def note_bug(self, error: BaseException | None) -> None:
        """A callback of the event loop failed: its request would be waited for in vain."""
        self._bug = self._bug or error

    async def wait_until_empty(self, stop: Stop) -> None:
        """Wait until each request has its outcome. Raises Stopped, ServerGone."""
        while self._num_in_flight or self._waiting:
            self.check(stop)
            await asyncio.sleep(0.002 if self._num_in_flight < self._most else CHECK_S)

    def check(self, stop: Stop) -> None:
        """Raises Stopped when the run is over, ServerGone when the server is, and what was noted as a bug."""
        stop.check()
        if self._bug is not None:
            raise self._bug
        since_ns = self._unreachable_since_ns
        if since_ns and now_ns() - since_ns > GONE_S * 1e9:
            raise ServerGone(f"{self._place} cannot be reached for {GONE_S:g} s: {self._why_unreachable}")
