"""What the models of tests/support/v2_server.py do, and what they tell of themselves."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnb.remote.datatypes import pack_bytes, unpack

NAME, VERSION = "tiny", "1.0"
EXTENSIONS = ["binary_tensor_data", "statistics", "model_configuration", "sequence", "parameters"]
NUMBERS = {"name": "NUMBERS", "datatype": "FP32", "shape": [-1, 4]}
FILE = {"name": "FILE", "datatype": "BYTES", "shape": [-1, 1]}
SUM = {"name": "SUM", "datatype": "FP32", "shape": [-1, 1]}
SIZE, LABEL = (
    {"name": "SIZE", "datatype": "INT64", "shape": [-1, 1]},
    {"name": "LABEL", "datatype": "BYTES", "shape": [-1, 1]},
)
MODELS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "numbers": ([NUMBERS], [SUM]),
    "file": ([FILE], [SIZE, LABEL]),
    "chain": ([NUMBERS], [SUM]),
}
STEPS = {"chain": ["numbers", "file"]}


@dataclass
class Problem(Exception):
    """What a request gets in the place of an answer."""

    status: int
    text: str


class Drop(Exception):
    """The connection is closed."""


@dataclass
class Tiny:
    """What both protocols have in common."""

    args: argparse.Namespace
    log: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    served: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = asyncio.Semaphore(self.args.instances)

    async def infer(
        self, model: str, asked: dict[str, Any], contents: list[bytes]
    ) -> list[tuple[Any, bytes]]:
        """The outputs. Raises Problem, Drop."""
        self.count += 1
        number = self.count
        self.log.append({"model": model, "id": asked.get("id"), "parameters": asked.get("parameters") or {}})
        for every, problem in (
            (self.args.drop_every, Drop()),
            (self.args.refuse_every, Problem(503, "queue full")),
            (self.args.fail_every, Problem(500, "broken on purpose")),
        ):
            if every and number % every == 0:
                raise problem
        if self.args.hang_every and number % self.args.hang_every == 0:
            await asyncio.sleep(3600)
        async with self.places:
            await asyncio.sleep(self.args.delay_ms / 1e3)
        for name in (model, *STEPS.get(model, [])):
            self.served[name] = self.served.get(name, 0) + 1
        if model == "file":
            (element,) = unpack("BYTES", contents[0])
            size = len(contents[0]) - 4
            return [
                (SIZE, size.to_bytes(8, "little")),
                (LABEL, pack_bytes([f"{size}:{element[:20]}".encode()])),
            ]
        total = np.array([sum(unpack("FP32", contents[0])) + self.args.offset], "<f4")
        return [(SUM, total.tobytes())]

    def metadata(self, model: str) -> dict[str, Any]:
        if model not in MODELS:
            raise Problem(404, f"Request for unknown model: '{model}' is not found")
        inputs, outputs = MODELS[model]
        return {"name": model, "versions": ["1"], "platform": "", "inputs": inputs, "outputs": outputs}

    def config(self, model: str) -> dict[str, Any]:
        self.metadata(model)
        steps = [{"model_name": name, "model_version": -1} for name in STEPS.get(model, [])]
        return {
            "name": model,
            "max_batch_size": 8,
            **({"ensemble_scheduling": {"step": steps}} if steps else {}),
        }

    def statistics(self, model: str) -> dict[str, Any]:
        self.metadata(model)
        count = self.served.get(model, 0)
        one = {"count": count, "ns": count * 2_000_000}
        parts = dict.fromkeys(("success", "queue", "compute_input", "compute_infer", "compute_output"), one)
        told = {"name": model, "version": "1", "inference_count": count, "execution_count": count}
        return {"model_stats": [{**told, "inference_stats": parts}]}

    def about(self) -> dict[str, Any]:
        return {"name": NAME, "version": VERSION, "extensions": EXTENSIONS}
