"""What a server tells of itself before a run, and what is said where that cannot be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from rnb.contract.termination import UsageError
from rnb.remote.description import describe_server
from rnb.remote.served import Served, read_server
from rnb.spec import RunSpec, Server
from tests.support.tiny_server import TinyServer, tiny_server

pytest.importorskip("tritonclient.grpc", reason="needs the extra 'serve'")


@pytest.fixture(scope="module")
def server() -> Iterator[TinyServer]:
    with tiny_server() as server:
        yield server


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_tells_what_its_model_takes(server: TinyServer, protocol: str) -> None:
    asked = Server(url=server.url(protocol), model="chain")
    config = read_server(asked)
    assert config.name == "chain.json"
    assert [one["shape"] for one in config.data["model"]["inputs"]] == [[-1, 4]]
    assert config.data["server"] == {
        "url": server.url(protocol),
        "model": "chain",
        "model_version": "1",
        "name": "tiny",
        "version": "1.0",
        "extensions": config.data["server"]["extensions"],
    }
    served = Served(RunSpec(config=config, server=asked))
    assert served.models == ["chain", "numbers", "file"]
    assert served.has_binary
    assert served.has_statistics
    assert describe_server(served).splitlines() == [
        f"server: tiny 1.0 at {server.url(protocol)}",
        "model: chain, version 1",
        "  made of: numbers, file",
        f"extensions: {', '.join(served.extensions)}",
        "inputs:",
        "  NUMBERS: 1x4 FP32, random (4 elements)",
        "outputs: SUM",
        "processes: 1 driver, 1 client, each with up to 500 requests under way",
    ]


@pytest.mark.parametrize(
    ("protocol", "problem"),
    [
        ("http", "404 Problem: Request for unknown model: 'x' is not found"),
        ("grpc", "NOT_FOUND: Request for unknown model: 'x' is not found"),
    ],
)
def test_an_unknown_model_is_one_line(server: TinyServer, protocol: str, problem: str) -> None:
    url = server.url(protocol)
    with pytest.raises(UsageError) as raised:
        read_server(Server(url=url, model="x"))
    assert str(raised.value) == f"--model x: {url}: {problem}"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_other_protocol_is_one_line(server: TinyServer, protocol: str) -> None:
    wrong = f"{protocol}://{server.url('grpc' if protocol == 'http' else 'http').partition('://')[2]}"
    with pytest.raises(UsageError, match=rf"^--url {wrong}: (what answers there|nobody to talk to)[^\n]*$"):
        read_server(Server(url=wrong, model="numbers"))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_nobody_there_is_one_line(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UsageError, match=rf"^--url {protocol}://127.0.0.1:{port}: nobody to talk to[^\n]*$"):
        read_server(Server(url=f"{protocol}://127.0.0.1:{port}", model="numbers"))


def test_whoever_speaks_something_else_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UsageError, match="does not speak HTTP"):
            read_server(Server(url=url, model="numbers"))
        thread.join()
