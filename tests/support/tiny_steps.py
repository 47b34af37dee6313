"""Tiny steps for pipelines that tests run on the CPU."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ConfigDict

from models.nothing.model import Nothing
from rnb.contract import (
    Batch,
    ClassAndScore,
    ClassResult,
    Context,
    Count,
    Layout,
    RequestError,
    Step,
    TensorSpec,
)
from rnb.contract import Options as AnyOptions
from rnb.contract.top1 import top1_of_each

NUM_CLASSES = 50


def clips_of(request_id: int) -> int:
    """Mostly one, sometimes eleven, as RnB's sampler draws them."""
    return 11 if request_id % 5 == 2 else 1


def expected_label(request_id: int) -> int:
    """What a pipeline of these steps must find for a request, however it is placed."""
    return int(hashlib.sha256(str(request_id).encode()).hexdigest(), 16) % NUM_CLASSES


class Size(Step):
    """Tells how many rows a Load after it makes."""

    passes_on = True

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=batch.payloads, sizes=[clips_of(batch.ids[0])])


class Load(Step):
    """Makes rows that hold the request's id and the row's number: (clips, 2)."""

    class Options(AnyOptions):
        fail_every: int = 0

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((11, 2)),)

    def __call__(self, batch: Batch) -> Batch:
        rows = self.rows(batch)
        return batch.give(tensors=[rows], rows=[len(rows)])

    def rows(self, batch: Batch) -> torch.Tensor:
        (request,) = batch.requests
        if self.options.fail_every and request.id % self.options.fail_every == 0:
            raise RequestError(f"{request.payload}: cannot be decoded")
        num_clips = clips_of(request.id)
        return torch.stack([torch.full((num_clips,), float(request.id)), torch.arange(float(num_clips))], 1)


class LoadInPlace(Load):
    """The same, written straight into the slot."""

    writes_in_place = True

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        rows = self.rows(batch)
        if out is not None:
            out[0][: len(rows)] = rows
            rows = out[0][: len(rows)]
        return batch.give(tensors=[rows], rows=[len(rows)])


class LoadElsewhere(LoadInPlace):
    """Is offered a slot, and hands on a tensor of its own."""

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        return super().__call__(batch)


class LoadTwo(Load):
    """Frames and what is in them: tensors of other types and other numbers of rows."""

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((11, 2)), TensorSpec((22, 4), "int32"))

    def __call__(self, batch: Batch) -> Batch:
        rows = self.rows(batch)
        boxes = torch.full((2 * len(rows), 4), batch.ids[0], dtype=torch.int32)
        return batch.give(
            tensors=[rows, boxes], rows=[(len(rows), len(boxes))], payloads=["frames and boxes"]
        )


class CheckTwo(Step):
    """Takes what LoadTwo makes, checks it, and counts the boxes of each request."""

    batches_requests = True

    def __call__(self, batch: Batch) -> Batch:
        check_rows(batch)
        for request, boxes in zip(batch.requests, batch.split(1), strict=True):
            assert request.payload == "frames and boxes"
            assert boxes.eq(request.id).all()
            assert boxes.dtype == torch.int32
        results = [{"boxes": count, "at": [0.5, None]} for count in batch.num_rows(1)]
        return batch.give(payloads=results)


class Pass(Step):
    """Hands its input on as it is, a view of the slot, and checks that it belongs to its requests."""

    class Options(AnyOptions):
        busy_ms: float = 0

    batches_requests = True
    result_kind = ClassResult

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return inputs

    def __call__(self, batch: Batch) -> Batch:
        self.check(batch)
        return batch.give(tensors=batch.tensors, rows=batch.rows, payloads=batch.payloads)

    def check(self, batch: Batch) -> None:
        check_rows(batch)
        if self.options.busy_ms:
            time.sleep(self.options.busy_ms / 1e3)
            check_rows(batch)

    def results(self, output: Batch) -> list[ClassAndScore]:
        return top1_of_each(output.tensors[0], output.num_rows())


class Classify(Pass):
    """Logits whose top-1 class is the request's expected label: (rows, classes)."""

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((inputs[0].most_rows, NUM_CLASSES)),)

    def __call__(self, batch: Batch) -> Batch:
        self.check(batch)
        rows = batch.tensors[0]
        logits = torch.zeros(len(rows), NUM_CLASSES)
        for row, request_id in enumerate(rows[:, 0].tolist()):
            logits[row, expected_label(int(request_id))] = 1 + float(rows[row, 1])
        return batch.give(tensors=[logits], rows=batch.rows, payloads=batch.payloads)


class ClassifyByName(Classify):
    """The same, and all classes but the last have names."""

    @classmethod
    def class_names(cls, options: Any) -> list[str]:
        return [f"class {number}" for number in range(NUM_CLASSES - 1)]


class Join(Step):
    """Joins segments: adds up their logits, and checks that no row is missing or comes twice."""

    class Options(AnyOptions):
        aggregate: Count = 1

    joins_segments = True
    regroups = True
    result_kind = ClassResult

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._waiting: dict[int, list[torch.Tensor]] = {}

    @classmethod
    def num_segments_joined(cls, options: Any) -> int:
        return int(options.aggregate)

    def __call__(self, batch: Batch) -> Batch | None:
        (request,) = batch.requests
        segments = self._waiting.setdefault(request.id, [])
        segments.append(batch.tensors[0].clone())
        if len(segments) < self.options.aggregate:
            return None
        logits = torch.cat(self._waiting.pop(request.id))
        assert sorted(logits.amax(1).tolist()) == [1 + row for row in range(clips_of(request.id))]
        label = ClassAndScore(int(logits.sum(0).argmax()), 1.0)
        return Batch((request.whole.with_payload(label),))


class TakesAnything(Nothing):
    """Does nothing, with any options."""

    class Options(AnyOptions):
        model_config = ConfigDict(extra="allow")


class Answer(Step):
    """Gives the result that the config says."""

    class Options(AnyOptions):
        result: Any = None

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=[self.options.result])


class AnswerInBytes(Step):
    """Gives bytes that are no text, and end with the request's number."""

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=[bytes([0, 255, *batch.ids])])


class AnswerOddly(Step):
    """Gives at one request what JSON does not know."""

    class Options(AnyOptions):
        at_request: int = 0

    def __call__(self, batch: Batch) -> Batch:
        is_odd = self.options.at_request in batch.ids
        return batch.give(payloads=[object() if is_odd else "even"])


class Misbehave(Nothing):
    """Fails in the way that the config says, at the request that it says (-1: in the constructor)."""

    class Options(AnyOptions):
        how: Literal["raise", "kill", "use up the GPU's memory", "hang"] = "raise"
        at_request: int = -1

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        if options.at_request < 0:
            self._misbehave()

    def __call__(self, batch: Batch) -> Batch:
        if self.options.at_request in batch.ids:
            self._misbehave()
        return super().__call__(batch)

    def _misbehave(self) -> None:
        how = self.options.how
        if how == "raise":
            raise ArithmeticError("this step fails on purpose")
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "use up the GPU's memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has none")
        if how == "hang":
            time.sleep(3600)


class HangOrFail(Misbehave):
    """Hangs at one request, and fails at the next one that another worker gets."""

    def __call__(self, batch: Batch) -> Batch:
        if batch.ids[0] > self.options.at_request:
            time.sleep(0.3)
            raise ArithmeticError("this step fails on purpose")
        return super().__call__(batch)


class Talk(Nothing):
    """Prints at each request."""

    def __call__(self, batch: Batch) -> Batch:
        print("I have something to say", flush=True)
        return super().__call__(batch)


class Greedy(Pass):
    """Asks for so much of its device's memory with each call."""

    class Options(AnyOptions):
        num_bytes: int = 0

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return ()

    def __call__(self, batch: Batch) -> Batch:
        torch.empty(self.options.num_bytes, dtype=torch.uint8, device=self.context.device)
        return batch.give(payloads=[ClassAndScore(0)] * len(batch))

    def results(self, output: Batch) -> list[Any]:
        return output.payloads


def check_rows(batch: Batch) -> None:
    """Each request's rows must be where the batch says, with numbers that ascend by one."""
    for request, mine in zip(batch.requests, batch.split(), strict=True):
        assert mine[:, 0].eq(request.id).all(), f"rows of {mine[:, 0].tolist()} for request {request.id}"
        assert mine[:, 1].diff().eq(1).all()
    assert sum(batch.num_rows()) == len(batch.tensors[0])


class HugePaths:
    """A video whose path is larger than a queue."""

    def __iter__(self) -> Iterator[str]:
        return itertools.repeat("x" * 2_000_000)


class StartsProcess(Nothing):
    """Starts a process of its own that outlives it, and notes its id."""

    class Options(AnyOptions):
        pid_file: str

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        process = subprocess.Popen(["sleep", "600"])
        Path(options.pid_file).write_text(str(process.pid))
        process.returncode = 0  # nobody waits for it
