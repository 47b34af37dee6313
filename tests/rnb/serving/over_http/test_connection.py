"""Connections that are slow, silent, broken or too many."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.serving import ANSWER_S, Served, serving

HEAD = b"POST /v2/models/scripted/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
CANCELLED = 'nv_inference_request_failure{model="scripted",version="1",reason="CANCELED"}'


@pytest.fixture(scope="module")
def impatient() -> Iterator[Served]:
    with serving(send_timeout=2.0, idle_timeout=2.0, max_connections=20) as server:
        yield server


@contextlib.contextmanager
def connected(server: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=ANSWER_S) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("sent", [HEAD[:30], HEAD, HEAD + b"\r\nhalf"])
def test_a_request_that_never_ends(impatient: Served, sent: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(sent)
        told = rest(connection)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b'{"error": "the request took too long' in told


def test_a_request_sent_a_byte_at_a_time(impatient: Served) -> None:
    with connected(impatient) as connection:
        began_s = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began_s < ANSWER_S:
                connection.sendall(b"G")
                time.sleep(0.1)
        assert time.monotonic() - began_s < ANSWER_S


def test_a_silent_connection_is_closed(impatient: Served) -> None:
    with connected(impatient) as connection:
        assert rest(connection) == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_http(impatient: Served, sent: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(sent)
        assert rest(connection).startswith(b"HTTP/1.1 4")
    assert impatient.infer("x").status == 200


def test_a_head_without_end(impatient: Served) -> None:
    with connected(impatient) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"x-header: some value\r\n" * 10_000)
        told = rest(connection)
    assert told.startswith(b"HTTP/1.1 431 ") or told == b""  # the answer may be lost with what was not read


def test_too_many_connections(impatient: Served) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connected(impatient))
        with connected(impatient) as one_more:
            told = rest(one_more)
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"--max-connections" in told


def test_a_client_that_goes_away_is_cancelled(served: Served) -> None:
    before = served.metric(CANCELLED)
    body = b'{"inputs":[{"name":"DATA","datatype":"BYTES","shape":[1],"data":["sleep 500"]}]}'
    with connected(served) as connection:
        connection.sendall(HEAD.replace(b"100", str(len(body)).encode()) + b"\r\n" + body)
        served.wait_for_pending(1)
    ends_s = time.monotonic() + ANSWER_S
    while served.metric(CANCELLED) == before:
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_idle_connections_disturb_nobody() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with serving(max_connections=most + 10) as server, contextlib.ExitStack() as stack:
            before_kb = server.memory_kb()
            for _ in range(most):
                stack.enter_context(connected(server))
            assert server.infer("x").status == 200
            assert (server.memory_kb() - before_kb) / most < 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
