"""A server of the Open Inference Protocol that does nothing, at little cost: it answers all requests alike.

It stands behind benchmarks/remote_client.py, and is a loop over epoll. Of a request over HTTP it looks at the
length alone, of one over gRPC at the ends of its frames.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from rnb.processes.client_task import wake_on_time
from rnb.remote.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PREFACE,
    SETTINGS,
    WIDEST,
    WINDOW_UPDATE,
    frame,
)  # fmt: skip

MODEL = {
    "name": "nothing",
    "versions": ["1"],
    "inputs": [{"name": "INPUT", "datatype": "FP32", "shape": [1, 16]}],
    "outputs": [{"name": "OUTPUT", "datatype": "FP32", "shape": [1, 16]}],
}
ABOUT = {"name": "minimal", "version": "1", "extensions": ["binary_tensor_data"]}
LARGEST_READ = 1 << 16


Answering = Callable[[bytes], tuple[bytes, int]]
"""Takes what has come over a connection; gives the answers, and how much of it they are for."""


def serve(make: Callable[[], Answering]) -> None:
    """Prints its port, and serves until it is killed; `make` is called for each connection."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, tuple[socket.socket, Answering, bytes]] = {}
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection, make(), b""
                poll.register(connection, select.EPOLLIN)
            elif not _serve_one(connections, number):
                poll.unregister(number)
                connections.pop(number)[0].close()


def _serve_one(connections: dict[int, tuple[socket.socket, Answering, bytes]], number: int) -> bool:
    """Whether the connection is still there."""
    connection, answer, before = connections[number]
    try:
        data = connection.recv(LARGEST_READ)
        if not data:
            return False
        answers, used = answer(before + data)
        connections[number] = connection, answer, (before + data)[used:]
        connection.sendall(answers)
    except ConnectionError:
        return False
    return True


def over_http() -> Answering:
    nothing = _answer({"model_name": "nothing", "outputs": []})

    def answer(data: bytes) -> tuple[bytes, int]:
        if len(data) < _length(data):
            return b"", 0
        return nothing if data.startswith(b"POST") else _told(data), len(data)

    return answer


def _length(data: bytes) -> int:
    begin = data.find(b"Content-Length: ")
    if begin < 0:
        return 0
    end = data.index(b"\r\n\r\n")
    return end + 4 + int(data[begin + 16 : data.index(b"\r\n", begin)])


def _told(data: bytes) -> bytes:
    path = data.split(b" ", 2)[1]
    if path == b"/v2/models/nothing":
        return _answer(MODEL)
    return _answer(ABOUT) if path == b"/v2" else _answer({"error": "unknown"}, b"404 Not Found")


def _answer(told: object, status: bytes = b"200 OK") -> bytes:
    body = json.dumps(told).encode()
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


class OverGrpc:
    """HTTP/2 without control of the flow: small messages fit into the windows that all begin with."""

    def __init__(self) -> None:
        from hpack import Decoder, Encoder

        self._decoder, encoder = Decoder(), Encoder()
        encoder.header_table_size = 0
        self._begin = encoder.encode([(":status", "200"), ("content-type", "application/grpc")])
        self._end = {code: encoder.encode([("grpc-status", code)]) for code in ("0", "12")}
        self._asked: dict[int, str] = {}
        """Of each stream, the end of its path."""
        self._messages = grpc_answers()
        self._is_greeted = False

    def __call__(self, data: bytes) -> tuple[bytes, int]:
        answers, place = bytearray(), 0
        if not self._is_greeted:
            if len(data) < len(PREFACE):
                return b"", 0
            self._is_greeted, place = True, len(PREFACE)
            wide = struct.pack(">HI", INITIAL_WINDOW_SIZE, WIDEST)
            room = struct.pack(">I", WIDEST - 65_535)
            answers += frame(SETTINGS, 0, 0, wide) + frame(WINDOW_UPDATE, 0, 0, room)
        while len(data) - place >= 9:
            end = place + 9 + int.from_bytes(data[place : place + 3], "big")
            if end > len(data):
                break
            number = int.from_bytes(data[place + 5 : place + 9], "big")
            answers += self._answer(data[place + 3], data[place + 4], number, data[place + 9 : end])
            place = end
        return bytes(answers), place

    def _answer(self, kind: int, flags: int, number: int, payload: bytes) -> bytes:
        if kind == SETTINGS and not flags & ACK:
            return frame(SETTINGS, ACK, 0)
        if kind == PING and not flags & ACK:
            return frame(PING, ACK, 0, payload)
        if kind == HEADERS:
            if b"ModelInfer" not in payload:  # else it is the load's, whose headers change no table
                path = dict(self._decoder.decode(payload, raw=True))[b":path"]
                self._asked[number] = path.decode().rpartition("/")[2]
        elif kind == DATA and flags & END_STREAM:
            message = self._messages.get(self._asked.pop(number, "ModelInfer"))
            end = frame(
                HEADERS, END_STREAM | END_HEADERS, number, self._end["12" if message is None else "0"]
            )
            body = b"\0" + len(message or b"").to_bytes(4, "big") + (message or b"")
            return frame(HEADERS, END_HEADERS, number, self._begin) + frame(DATA, 0, number, body) + end
        return b""


def grpc_answers() -> dict[str, Any]:
    """Serialized, by method."""
    from google.protobuf.json_format import ParseDict
    from tritonclient.grpc import service_pb2 as pb

    answers = {
        "ServerMetadata": ParseDict(ABOUT, pb.ServerMetadataResponse()),
        "ModelMetadata": ParseDict(MODEL, pb.ModelMetadataResponse()),
        "ModelInfer": pb.ModelInferResponse(model_name="nothing"),
    }
    return {name: answer.SerializeToString() for name, answer in answers.items()}


if __name__ == "__main__":
    wake_on_time()  # as the client does, so that other work on the machine takes its core from neither
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", choices=("http", "grpc"))
    serve(over_http if parser.parse_args().protocol == "http" else OverGrpc)
