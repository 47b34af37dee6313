"""What the page asks of a server: POST /predict, the Open Inference Protocol v2, and GET /metrics."""

from __future__ import annotations

import http.client
import json
import struct
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 120.0
HEADER_LENGTH = "Inference-Header-Content-Length"


class NoAnswer(Exception):
    """The server refused, or is not there; the message is one line for the reader of the page."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server by its address, such as http://127.0.0.1:8000. Every call raises NoAnswer."""

    url: str
    api_key: str | None = None

    def predict(self, data: bytes, media_type: str) -> Any:
        """The result for an image or a video, as JSON."""
        return _json(self._ask("/predict", data, {"Content-Type": media_type}))

    def infer(self, model: str, data: bytes, parameters: Mapping[str, Any]) -> Any:
        """The result for an image or a video as the protocol gives it, with the parameters of a sequence."""
        element = struct.pack("<I", len(data)) + data
        header = json.dumps(
            {
                "parameters": dict(parameters),
                "inputs": [
                    {
                        "name": "DATA",
                        "datatype": "BYTES",
                        "shape": [1, 1],
                        "parameters": {"binary_data_size": len(element)},
                    }
                ],
                "outputs": [{"name": "RESULT", "parameters": {"binary_data": False}}],
            }
        ).encode()
        headers = {HEADER_LENGTH: str(len(header)), "Content-Type": "application/octet-stream"}
        told = _json(self._ask(f"/v2/models/{model}/infer", header + element, headers))
        try:
            (output,) = told["outputs"]
            return json.loads(output["data"][0])
        except (LookupError, TypeError, ValueError):
            raise NoAnswer(f"{self.url} answered without a RESULT") from None

    def model(self) -> str:
        """The name of what is served: the first of the models that is no step of another."""
        (first, *_) = self.statistics() or [""]
        return first

    def statistics(self) -> dict[str, Any]:
        """The `inference_stats` of the pipeline and of each step, by name and in this order."""
        told = _json(self._ask("/v2/models/stats"))
        try:
            return {one["name"]: one["inference_stats"] for one in told["model_stats"]}
        except (LookupError, TypeError):
            raise NoAnswer(f"{self.url} tells no statistics") from None

    def metrics(self) -> str:
        """In Prometheus' text format."""
        return self._ask("/metrics").decode(errors="replace")

    def is_ready(self) -> bool:
        try:
            self._ask("/v2/health/ready")
        except NoAnswer:
            return False
        return True

    def _ask(self, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        key = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            request = urllib.request.Request(f"{self.url}{path}", data, {**(headers or {}), **key})
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise NoAnswer(f"{error.code}: {_reason(error.read()) or error.reason}") from None
        except urllib.error.URLError as error:
            raise NoAnswer(f"{self.url} does not answer: {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(f"{self.url} does not answer: {error}") from None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise NoAnswer("the answer is no JSON") from None


def _reason(data: bytes) -> str:
    """What a refusal says: {"error": reason}."""
    try:
        return str(json.loads(data)["error"])
    except (LookupError, TypeError, ValueError):
        return ""
