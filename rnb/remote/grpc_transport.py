"""Requests over gRPC: those of a client process share a connection, or more where the server limits one."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from rnb.contract.request import Request
from rnb.remote.address import Address
from rnb.remote.deadlines import Deadlines
from rnb.remote.grpc_message import GrpcRequests, result_of_grpc
from rnb.remote.http2 import Http2Connection, Stream, header_block
from rnb.remote.outbox import Outbox

CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""gRPC's, by their numbers."""
PREFIX_BYTES = 5
"""Before a message stand whether it is compressed, which it is not here, and its length."""


class GrpcTransport:
    """See Transport."""

    def __init__(
        self,
        outbox: Outbox,
        requests: GrpcRequests,
        *,
        address: Address,
        authority: str,
        timeout_ms: float,
        keep_results: bool,
    ) -> None:
        """`authority`: host and port as the user says them."""
        self._outbox, self._requests, self._address = outbox, requests, address
        self._timeout_ms, self._keep_results = timeout_ms, keep_results
        self._block = header_block(
            [
                (b":path", b"/inference.GRPCInferenceService/ModelInfer"),
                (b":authority", authority.encode()),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
                (b"grpc-timeout", b"%dm" % min(max(1, round(timeout_ms)), 99_999_999)),
            ]
        )
        self._connections: list[Http2Connection] = []
        self._waiting: list[Request] = []
        """For a connection that is being opened."""
        self._opening: asyncio.Task[None] | None = None
        self._deadlines = Deadlines[tuple[Http2Connection, Stream]](
            timeout_ms, is_open=lambda call: call[1].call is not None, end=self._end_late
        )

    def transmit(self, request: Request) -> None:
        connection = next((one for one in self._connections if one.has_room), None)
        if connection is not None:
            self._call(connection, request)
            return
        self._waiting.append(request)
        self._opening = self._opening or asyncio.ensure_future(self._open())

    def _call(self, connection: Http2Connection, request: Request) -> None:
        self._deadlines.watch((connection, connection.call(request, self._requests.make(request))))

    async def _open(self) -> None:
        connection = Http2Connection(
            self._block,
            begins=lambda stream: self._outbox.begins(stream.call),
            ends=self._end,
            breaks=self._lose,
        )
        self._connections = [one for one in self._connections if one.is_open]
        problem = ""
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: connection, self._address.host, self._address.port)
            self._connections.append(connection)
        except OSError as error:
            problem = f"no connection: {error.strerror or error}"
        waiting, self._waiting, self._opening = self._waiting, [], None
        for request in waiting:
            if problem:
                self._outbox.lose(request, problem)
            else:
                self.transmit(request)

    def _end(self, stream: Stream) -> None:
        request, stream.call = stream.call, None
        status = stream.headers.get(b"grpc-status", b"")
        code = int(status) if status.isdigit() else CODES.index("UNKNOWN")
        if code == 0:
            kept, body = self._keep_results, bytes(stream.body)
            self._outbox.finish(request, (lambda: result_of_grpc(body[PREFIX_BYTES:])) if kept else None)
            return
        name = CODES[code] if code < len(CODES) else str(code)
        told = unquote(stream.headers.get(b"grpc-message", b"").decode(errors="replace"))
        if not status:
            told = f"HTTP status {stream.headers.get(b':status', b'?').decode()}"
        reason = f"{name}: {' '.join(told.split())}"
        self._outbox.fail(request, reason, is_refused=name == "UNAVAILABLE")

    def _lose(self, stream: Stream, reason: str) -> None:
        request, stream.call = stream.call, None
        self._outbox.lose(request, reason)

    def _end_late(self, call: tuple[Http2Connection, Stream]) -> None:
        connection, stream = call
        request: Any = stream.call
        connection.cancel(stream)
        self._outbox.fail(request, f"no answer within {self._timeout_ms:g} ms (--timeout)")

    def close(self) -> None:
        self._deadlines.close()
        for connection in self._connections:
            connection.close()
