"""The end of a server: what was taken is answered, over both protocols."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from tests.rnb.serving.over_grpc.test_service import asked
from tests.support.serving import ANSWER_S, serving


def test_what_was_taken_is_answered_and_nothing_new_is_taken() -> None:
    with serving(grace=ANSWER_S) as server, grpc.insecure_channel(server.grpc) as channel:
        stub, replies = GRPCInferenceServiceStub(channel), list[Any]()
        waiting = [
            threading.Thread(target=lambda: replies.append(server.infer("sleep 4").status)),
            threading.Thread(
                target=lambda: replies.append(stub.ModelInfer(asked("sleep 4", id="a"), timeout=ANSWER_S).id)
            ),
        ]
        for one in waiting:
            one.start()
        server.wait_for_pending(2)
        server.process.send_signal(signal.SIGTERM)
        while server.ask("GET", "/v2/health/ready").status == 200:
            time.sleep(0.01)
        assert not stub.ServerReady(pb.ServerReadyRequest()).ready
        assert (server.infer("x").status, server.ask("GET", "/v2/health/live").status) == (503, 200)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(asked("x"), timeout=ANSWER_S)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        for one in waiting:
            one.join()
        assert server.process.wait(ANSWER_S) == 0
    assert set(replies) == {200, "a"}


def test_half_a_request_does_not_hold_it_up() -> None:
    with serving() as server, socket.create_connection(("127.0.0.1", server.http_port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n")
        connection.sendall(b"content-type: image/png\r\n\r\nhalf")
        server.infer("x")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of localhost, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names)
    with contextlib.suppress(FileNotFoundError):
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
        return cert, key
    pytest.skip("openssl is not installed")


def test_tls(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        context = ssl.create_default_context(cafile=str(cert))
        url = f"https://localhost:{server.http_port}/v2/health/ready"
        with urllib.request.urlopen(url, context=context, timeout=ANSWER_S) as response:
            assert response.status == 200
        credentials = grpc.ssl_channel_credentials(cert.read_bytes())
        with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
            assert (
                GRPCInferenceServiceStub(channel).ModelInfer(asked("x", id="a"), timeout=ANSWER_S).id == "a"
            )
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=ANSWER_S) as plain:
            plain.sendall(b"GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"200 OK" not in plain.recv(1000)
