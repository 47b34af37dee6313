"""A small server of the Open Inference Protocol v2 for tests, with errors and delays as asked for.

    python -m tests.support.v2_server --delay-ms 5 --refuse-every 10

prints the ports of HTTP and gRPC in a line, and serves until its standard input ends. Its models: `numbers`
takes FP32 and gives their sum, `file` takes BYTES and gives their size and a label, `chain` is an ensemble of
the two. GET /log lists all requests that came to it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import threading
from typing import Any

from tests.support.v2_models import Drop, Problem, Tiny


class Http:
    """One request after the other on each connection."""

    def __init__(self, tiny: Tiny) -> None:
        self._tiny = tiny

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, Drop):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                try:
                    writer.write(await self._answer(first.split()[1], headers, body))
                except Problem as problem:
                    text = json.dumps({"error": problem.text}).encode()
                    writer.write(_response(problem.status, "Problem", text))
                await writer.drain()
        writer.close()

    async def _answer(self, path: str, headers: dict[str, str], body: bytes) -> bytes:
        tiny = self._tiny
        match path.removeprefix("/").split("/"):
            case ["log"]:
                return _json(tiny.log)
            case ["v2"]:
                return _json(tiny.about())
            case ["v2", "models", model]:
                return _json(tiny.metadata(model))
            case ["v2", "models", model, "config"]:
                return _json(tiny.config(model))
            case ["v2", "models", model, "stats"]:
                return _json(tiny.statistics(model))
            case ["v2", "models", model, "infer"]:
                size = int(headers.get("inference-header-content-length", len(body)))
                asked, contents = json.loads(body[:size]), []
                for one in asked["inputs"]:
                    end = size + one["parameters"]["binary_data_size"]
                    contents.append(body[size:end])
                    size = end
                return _tensors(model, asked["id"], await tiny.infer(model, asked, contents))
        raise Problem(404, f"no {path}")


def _tensors(model: str, request_id: str, outputs: list[tuple[Any, bytes]]) -> bytes:
    told = [
        {**spec, "shape": [1, 1], "parameters": {"binary_data_size": len(data)}} for spec, data in outputs
    ]
    text = json.dumps({"model_name": model, "id": request_id, "outputs": told}).encode()
    body = text + b"".join(data for _, data in outputs)
    return _response(200, "OK", body, f"Inference-Header-Content-Length: {len(text)}\r\n")


def _json(value: Any) -> bytes:
    return _response(200, "OK", json.dumps(value).encode())


def _response(status: int, reason: str, body: bytes, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} {reason}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _serve(args: argparse.Namespace) -> None:
    tiny = Tiny(args)
    server = await asyncio.start_server(Http(tiny).serve, "127.0.0.1", args.port, backlog=1024)
    grpc_port = 0
    if args.grpc:
        from tests.support.v2_grpc import start_grpc

        grpc_server, grpc_port = await start_grpc(tiny)
    print(server.sockets[0].getsockname()[1], grpc_port, flush=True)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    await ended.wait()
    if args.grpc:
        await grpc_server.stop(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--grpc", action="store_true")
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--offset", type=float, default=0)
    for name in ("drop", "refuse", "fail", "hang"):
        parser.add_argument(f"--{name}-every", type=int, default=0)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
