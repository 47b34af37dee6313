"""The gRPC side's server, in the event loop of the pipeline."""

from __future__ import annotations

from pathlib import Path

import grpc

from rnb.contract.termination import UsageError
from rnb.serving.front import Front
from rnb.serving.over_grpc.service import handler_of
from rnb.serving.settings import Settings

ONLY_UNCOMPRESSED = 1
"""The bit of 'identity': a small message that unpacks to a huge one is not taken."""
OVERHEAD_BYTES = 64 << 10
"""Of a message around its tensors."""
ENDING_S = 1.0
"""For calls that are under way when all requests have their answers."""


class GrpcServer:
    """Of one front."""

    def __init__(self, front: Front) -> None:
        self._settings = front.settings
        self._server = grpc.aio.server(
            options=_options(front.settings), maximum_concurrent_rpcs=front.settings.max_connections
        )
        self._server.add_generic_rpc_handlers((handler_of(front),))

    async def start(self) -> int:
        """Listen; returns the port. Raises UsageError."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port}"
        try:
            if settings.tls_cert and settings.tls_key:
                pair = (Path(settings.tls_key).read_bytes(), Path(settings.tls_cert).read_bytes())
                port = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
            else:
                port = self._server.add_insecure_port(address)
        except (RuntimeError, OSError):
            raise UsageError(f"{address}: cannot listen there, for gRPC") from None
        await self._server.start()
        return int(port)

    async def stop(self) -> None:
        await self._server.stop(ENDING_S)


def _options(settings: Settings) -> list[tuple[str, int]]:
    idle_ms = max(1, round(settings.idle_timeout * 1000))
    return [
        ("grpc.max_receive_message_length", settings.max_body_bytes + OVERHEAD_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.compression_enabled_algorithms_bitset", ONLY_UNCOMPRESSED),
        ("grpc.so_reuseport", 0),
        ("grpc.server_handshake_timeout_ms", max(1, round(settings.send_timeout * 1000))),
        ("grpc.max_connection_idle_ms", idle_ms),
        ("grpc.keepalive_time_ms", idle_ms),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ]
