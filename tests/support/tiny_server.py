"""Starts tests/support/v2_server.py, and asks it what came to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.running import ROOT


@dataclass(frozen=True, kw_only=True)
class TinyServer:
    process: subprocess.Popen[str]
    http: str
    """Its URL."""
    grpc: str

    def url(self, protocol: str) -> str:
        return self.http if protocol == "http" else self.grpc

    def log(self) -> list[dict[str, Any]]:
        """All requests for inference that came, in order: model, id, parameters."""
        with urllib.request.urlopen(f"{self.http}/log", timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextlib.contextmanager
def tiny_server(*flags: str, has_grpc: bool = True) -> Iterator[TinyServer]:
    """`flags`: those of the server."""
    command = [sys.executable, "-m", "tests.support.v2_server", *(["--grpc"] if has_grpc else []), *flags]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            http, grpc = process.stdout.readline().split()
            yield TinyServer(
                process=process, http=f"http://127.0.0.1:{http}", grpc=f"grpc://127.0.0.1:{grpc}"
            )
        finally:
            process.kill()
