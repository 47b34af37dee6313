"""A server of the scripted pipeline in a process of its own, and plain requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.running import ROOT

ANSWER_S = 60


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The reason, of an error."""
        told = self.json()
        assert list(told) == ["error"]
        assert isinstance(told["error"], str)
        return str(told["error"])


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    http_port: int
    grpc_port: int

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=ANSWER_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())

    def infer(self, *payloads: str, headers: Mapping[str, str] | None = None, **others: Any) -> Reply:
        """One request for texts as DATA."""
        tensor = {"name": "DATA", "datatype": "BYTES", "shape": [len(payloads), 1], "data": payloads}
        return self.ask(
            "POST", "/v2/models/scripted/infer", json.dumps({"inputs": [tensor], **others}), headers
        )

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def wait_for_pending(self, count: int) -> None:
        """Until so many requests are inside."""
        ends_s = time.monotonic() + ANSWER_S
        while self.metric("nv_inference_pending_request_count") < count:
            assert time.monotonic() < ends_s
            time.sleep(0.02)

    def memory_kb(self) -> int:
        """What its process has in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def lines(self) -> list[dict[str, Any]]:
        """End it, and read the log that it wrote to stdout."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=ANSWER_S)
        return [json.loads(line) for line in out.splitlines()]


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[Served]:
    """Fields of Settings, `interface` with those of Interface, and `is_stateful`."""
    command = [sys.executable, "-m", "tests.support.scripted_pipeline", json.dumps(settings)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        assert first.startswith("["), first + process.stderr.read()
        http_port, grpc_port = json.loads(first)
        yield Served(process=process, http_port=http_port, grpc_port=grpc_port)
    finally:
        process.kill()
        process.communicate()
