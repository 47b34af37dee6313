"""An HTTP connection that gives up on clients that send nothing, too slowly, or a head without end."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rnb.serving.settings import Settings

MOST_HEAD_BYTES = 64 << 10
"""Of a request's line and headers."""


def protocol_of(settings: Settings) -> type[HttpToolsProtocol]:
    """The protocol that uvicorn is to use."""
    return type("Connection", (_Connection,), {"settings": settings})


class _Connection(HttpToolsProtocol):
    settings: Settings

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._began_s: float | None = None
        """When the request that is being sent began; None between requests."""
        self._quiet_since_s, self._head_bytes = time.monotonic(), 0
        if len(self.connections) > self.settings.max_connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections (--max-connections)")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._began_s is None:
            self._began_s, self._head_bytes = time.monotonic(), 0
        super().data_received(data)
        if self._head_bytes >= 0:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large")

    def on_headers_complete(self) -> None:
        self._head_bytes = -1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._began_s, self._quiet_since_s = None, time.monotonic()
        super().on_message_complete()

    def check(self, now_s: float) -> None:
        """End the connection if its client takes too long."""
        if self._began_s is not None:
            if now_s - self._began_s > self.settings.send_timeout:
                self._refuse(
                    HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive (--send-timeout)"
                )
        elif self.cycle is None and now_s - self._quiet_since_s > self.settings.idle_timeout:
            self.transport.close()  # after a first answer uvicorn itself sees to it

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answer, unless an answer is under way, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = json.dumps({"error": reason}).encode()
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                + body
            )
        self.transport.close()
