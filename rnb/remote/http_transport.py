"""Requests over HTTP/1.1: each that is under way has a connection to itself, which the next takes over."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from rnb.contract.request import Request
from rnb.remote.address import Address
from rnb.remote.deadlines import Deadlines
from rnb.remote.http_asker import error_text
from rnb.remote.http_message import HttpRequests, NotHttp, Reader
from rnb.remote.outbox import Outbox
from rnb.remote.results import result_of_http
from rnb.transport.clock import now_ns

MOST_IDLE_NS = 1_500_000_000
"""A connection that was idle for longer is not used again: the server may be about to close it."""
OK, UNAVAILABLE = 200, 503


class HttpTransport:
    """See Transport."""

    def __init__(
        self,
        outbox: Outbox,
        requests: HttpRequests,
        *,
        address: Address,
        timeout_ms: float,
        keep_results: bool,
    ) -> None:
        self.outbox, self.requests, self.address = outbox, requests, address
        self.timeout_ms, self.keep_results = timeout_ms, keep_results
        self._idle: deque[Connection] = deque()
        """The longest idle one is used next, so that all of them stay in use."""
        self._opening: set[asyncio.Task[None]] = set()
        self._deadlines = Deadlines[tuple[Connection, Request]](
            timeout_ms, is_open=lambda sent: sent[0].request is sent[1], end=self._end_late
        )

    def transmit(self, request: Request) -> None:
        while self._idle:
            connection = self._idle.popleft()
            if now_ns() - connection.idle_since_ns < MOST_IDLE_NS:
                connection.send(request)
                break
            connection.close()
        else:
            connection = Connection(self)
            connection.request = request
            task = asyncio.ensure_future(self._open(connection, request))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self._deadlines.watch((connection, request))

    async def _open(self, connection: Connection, request: Request) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: connection, self.address.host, self.address.port)
        except OSError as error:
            if connection.request is request:
                connection.request = None
                self.outbox.lose(request, f"no connection: {error.strerror or error}")
            return
        if connection.request is request:
            connection.send(request)
        else:
            connection.close()

    def free(self, connection: Connection) -> None:
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def _end_late(self, sent: tuple[Connection, Request]) -> None:
        connection, request = sent
        connection.request = None
        connection.close()
        self.outbox.fail(request, f"no answer within {self.timeout_ms:g} ms (--timeout)")

    def close(self) -> None:
        self._deadlines.close()
        for connection in self._idle:
            connection.close()


class Connection(asyncio.Protocol):
    """A connection, and the request that it is for."""

    def __init__(self, pool: HttpTransport) -> None:
        self._pool = pool
        self._transport: Any = None
        self._reader = Reader()
        self._has_begun = False
        self.request: Request | None = None
        """None: it is idle."""
        self.idle_since_ns = 0

    def send(self, request: Request) -> None:
        self.request, self._reader, self._has_begun = request, Reader(), False
        pieces = self._pool.requests.make(request.id, request.payload, request.parameters)
        for piece in pieces:
            self._transport.write(piece)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        request = self.request
        if request is None:  # nobody asked
            self.close()
            return
        if not self._has_begun:
            self._has_begun = True
            self._pool.outbox.begins(request)
        try:
            if self._reader.feed(data):
                self._end(request)
        except NotHttp:
            self.request = None
            self.close()
            self._pool.outbox.lose(request, "the answer is no HTTP")

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._pool.forget(self)
        if self.request is None:
            return
        if self._reader.ends_with_connection:
            self._end(self.request, is_open=False)
            return
        request, self.request = self.request, None
        when = "in the middle of the answer" if self._has_begun else "before an answer"
        self._pool.outbox.lose(request, f"the connection was closed {when}{f': {error}' if error else ''}")

    def _end(self, request: Request, *, is_open: bool = True) -> None:
        reader, outbox = self._reader, self._pool.outbox
        self.request, self.idle_since_ns = None, now_ns()
        if is_open and reader.keeps_connection:
            self._pool.free(self)
        else:
            self.close()
        if reader.status == OK:
            kept = self._pool.keep_results
            outbox.finish(request, (lambda: result_of_http(reader.body, reader.json_bytes)) if kept else None)
        else:
            reason = f"{reader.status} {reader.reason}: {error_text(reader.body)}"
            outbox.fail(request, reason, is_refused=reader.status == UNAVAILABLE)
