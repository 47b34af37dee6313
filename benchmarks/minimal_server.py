"""A server of the Open Inference Protocol that does nothing, at little cost: it answers all requests alike.

It stands behind benchmarks/remote_client.py. Over HTTP it is a loop over epoll, which looks at the length
of a request alone; over gRPC it is grpcio's server, which looks at no message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import select
import socket

from rnb.processes.client_task import wake_on_time

MODEL = {
    "name": "nothing",
    "versions": ["1"],
    "inputs": [{"name": "INPUT", "datatype": "FP32", "shape": [1, 16]}],
    "outputs": [{"name": "OUTPUT", "datatype": "FP32", "shape": [1, 16]}],
}
ABOUT = {"name": "minimal", "version": "1", "extensions": ["binary_tensor_data"]}
LARGEST_READ = 1 << 16


def serve_http() -> None:
    """Prints its port, and serves until it is killed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    open_sockets: dict[int, socket.socket] = {}
    unfinished: dict[int, bytes] = {}
    answer = _answer({"model_name": "nothing", "outputs": []})
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_sockets[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            connection = open_sockets[number]
            try:
                data = connection.recv(LARGEST_READ)
            except ConnectionError:
                data = b""
            if not data:
                poll.unregister(connection)
                open_sockets.pop(number).close()
                continue
            data = unfinished.pop(number, b"") + data
            if len(data) < _length(data):
                unfinished[number] = data
            else:
                connection.sendall(answer if data.startswith(b"POST") else _told(data))


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


async def serve_grpc() -> None:
    """Prints its port, and serves until it is killed."""
    import grpc
    import grpc.aio
    from google.protobuf.json_format import ParseDict
    from tritonclient.grpc import service_pb2 as pb

    answers = {
        "ServerMetadata": ParseDict(ABOUT, pb.ServerMetadataResponse()),
        "ModelMetadata": ParseDict(MODEL, pb.ModelMetadataResponse()),
        "ModelInfer": pb.ModelInferResponse(model_name="nothing"),
    }

    def handler(answer: bytes) -> object:
        async def give(asked: bytes, context: object) -> bytes:
            return answer

        return grpc.unary_unary_rpc_method_handler(give)

    server = grpc.aio.server()
    handlers = {name: handler(answer.SerializeToString()) for name, answer in answers.items()}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    wake_on_time()  # as the client does, so that other work on the machine takes its core from neither
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", choices=("http", "grpc"))
    if parser.parse_args().protocol == "http":
        serve_http()
    else:
        asyncio.run(serve_grpc())
