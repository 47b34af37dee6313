"""Where a server listens, and by which protocol."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from rnb.contract.termination import UsageError

DEFAULT_PORTS = {"http": 8000, "grpc": 8001}
"""Triton's."""


class Address(NamedTuple):
    protocol: str
    """'http' or 'grpc'."""
    host: str
    port: int
    path: str = ""
    """What stands before /v2 in the paths of HTTP, say '/models'."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises UsageError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"--url {url}: {error}") from None
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.query or parts.username:
            raise UsageError(f"--url {url}: must be http://host:port or grpc://host:port")
        path = parts.path.rstrip("/")
        if path and parts.scheme == "grpc":
            raise UsageError(f"--url {url}: a path, here {path}, is only for http://")
        return cls(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], path)

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.protocol}://{self.netloc}{self.path}"
