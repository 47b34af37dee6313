"""Errors of gRPC: those of the server, and those of the way to it."""

from __future__ import annotations

import grpc

_NO_CONNECTION = (
    "failed to connect", "connection refused", "connection reset", "socket closed", "broken pipe", "goaway",
    "dns resolution failed", "connections to all backends failing", "trying to connect an http1.x server",
    "transport closed", "connection closed", "recvmsg", "fd shutdown", "channel closed",
)  # fmt: skip
"""What grpcio says of a connection, under the same code as a server that is busy."""


def is_unreachable(code: grpc.StatusCode, details: str) -> bool:
    """Whether nobody answered: the connection could not be made, or died."""
    return code is grpc.StatusCode.UNAVAILABLE and any(one in details.lower() for one in _NO_CONNECTION)


def one_line(details: str | None) -> str:
    return " ".join((details or "").split())[:300]
