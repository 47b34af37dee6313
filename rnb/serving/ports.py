"""The ports that a server listens on."""

from __future__ import annotations

import contextlib
import socket

from rnb.contract.termination import UsageError
from rnb.serving.settings import Settings


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to it; port 0 is any free one. Raises UsageError."""
    with contextlib.ExitStack() as opened:
        try:
            family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listener = opened.enter_context(socket.socket(family, kind, number))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            raise UsageError(f"{host}:{port}: cannot listen there: {error.strerror}") from None
        opened.pop_all()
    listener.setblocking(False)
    return listener


def check_ports(settings: Settings) -> None:
    """See whether both can be had, before anything is started. Raises UsageError."""
    if settings.port and settings.port == settings.grpc_port:
        raise UsageError(f"--port and --grpc-port are both {settings.port}")
    for port in (settings.port, settings.grpc_port):
        listen(settings.host, port).close()
