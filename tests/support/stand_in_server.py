"""A server of one model that finds red rectangles, with the answers of serve.py that the page asks for."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

MODEL, STEP = "rectangles", "RectangleFinder-0"


@dataclass(kw_only=True)
class StandIn:
    """What it was asked."""

    url: str
    parameters: list[dict[str, Any]] = field(default_factory=list)
    """Of each request of the protocol."""
    num_served: int = 0


def find_rectangle(data: bytes) -> dict[str, Any]:
    """The red rectangle of `tests.support.images.picture`, as an object; raises ValueError for no picture."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("the image cannot be decoded")
    blue, green, red = (picture[..., channel].astype(int) for channel in range(3))
    is_red = (abs(red - 250) < 40) & (abs(green - 30) < 40) & (abs(blue - 60) < 40)
    left, top, width, height = cv2.boundingRect(is_red.astype(np.uint8))
    box = {"x_min": left, "y_min": top, "x_max": left + width, "y_max": top + height}
    return {"count": 1, "objects": [{"class": "rectangle", "probability": 0.75, "box": box}]}


def make_handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = {
                "/v2/health/ready": b"",
                "/v2/models/stats": _statistics(stand_in),
                "/metrics": _metrics(stand_in),
            }
            self._answer(
                *((200, told[self.path]) if self.path in told else (404, b'{"error": "no such page"}'))
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                self._answer(200, self._answer_of(body))
            except ValueError as error:
                self._answer(400, json.dumps({"error": str(error)}).encode())

        def _answer_of(self, body: bytes) -> bytes:
            if self.path == "/predict":
                data, is_plain = body, True
            else:
                assert self.path == f"/v2/models/{MODEL}/infer"
                length = int(self.headers["Inference-Header-Content-Length"])
                header = json.loads(body[:length])
                (size,) = struct.unpack_from("<I", body, length)
                data = body[length + 4 :]
                assert len(data) == size == header["inputs"][0]["parameters"]["binary_data_size"] - 4
                stand_in.parameters.append(header["parameters"])
                is_plain = False
            result = find_rectangle(data)
            stand_in.num_served += 1
            return (json.dumps(result) if is_plain else _as_output(result)).encode()

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Not on stderr."""

    return Handler


def _as_output(result: Any) -> str:
    output = {"name": "RESULT", "datatype": "BYTES", "shape": [1, 1], "data": [json.dumps(result)]}
    return json.dumps({"model_name": MODEL, "outputs": [output]})


def _statistics(stand_in: StandIn) -> bytes:
    """Each request waited for 1 ms and took 5."""
    count = stand_in.num_served
    ns = {"success": 6, "queue": 1, "compute_input": 1, "compute_infer": 3, "compute_output": 1}
    told = {part: {"count": count, "ns": each * 1_000_000 * count} for part, each in ns.items()}
    models = [{"name": name, "version": "1", "inference_stats": told} for name in (MODEL, STEP)]
    return json.dumps({"model_stats": models}).encode()


def _metrics(stand_in: StandIn) -> bytes:
    name, count = "nv_inference_first_response_histogram_ms", stand_in.num_served
    buckets = {"5": 0, "10": count, "+Inf": count}
    lines = [
        f"# TYPE {name} histogram",
        *(f'{name}_bucket{{model="{MODEL}",le="{bound}"}} {total}' for bound, total in buckets.items()),
        f'rnb_queue_depth{{step="{STEP}"}} 3',
        'nv_gpu_utilization{gpu_uuid="GPU-1"} 0.25',
    ]
    return "\n".join(lines).encode()


@contextlib.contextmanager
def stand_in_server() -> Iterator[StandIn]:
    """It answers at its address until the context ends."""
    stand_in = StandIn(url="")
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(stand_in))
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
