"""How a pipeline is served: addresses, keys and limits. The fields have the names of the flags."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """See `serve.py --help`, or docs/serving.md."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0: any free one."""
    grpc_port: int = 8001
    data: str = "data/videos"
    """The folder that PATH is looked for in."""
    api_key: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    shared_memory: bool = False
    grace: float = 30.0
    """Seconds."""
    request_log: str | None = "-"
    """A file; '-' is stdout, None is none."""
    otlp: str | None = None
    """Where a collector of OpenTelemetry takes spans; None: nowhere."""
    max_body_mb: float = 64.0
    max_bodies_mb: float = 1024.0
    """Of all requests together that are being sent or served, over HTTP."""
    max_pixels: int = 50_000_000
    """Of an image."""
    max_request_batch: int = 64
    max_connections: int = 1000
    """Of HTTP; as many calls may be under way over gRPC."""
    send_timeout: float = 60.0
    """Seconds that sending a request may take."""
    idle_timeout: float = 60.0
    """Seconds that a connection without a request is kept."""

    @property
    def max_body_bytes(self) -> int:
        return int(self.max_body_mb * MEBIBYTE)

    @property
    def max_bodies_bytes(self) -> int:
        return int(self.max_bodies_mb * MEBIBYTE)
