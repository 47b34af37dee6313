"""Steps whose result can be worked out from a request's id, however the pipeline places them.

A request has a value, in its payload, and rows [id, number, value] in each of up to two tensors. Each step
changes all of its values in the same way, checks that what it got belongs to its requests, and notes in a
file that it did so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Literal

import torch

from rnb.contract import Batch, Context, Count, Layout, Request, RequestError, Step, TensorSpec
from rnb.contract import Options as AnyOptions

PRIME = 1_000_003
DTYPES = ("int64", "float64")
"""Of the first tensor and of the second."""


def mixed(*numbers: int) -> int:
    """A number that depends on all of these, and looks drawn."""
    value = 0
    for number in numbers:
        value = (value * 6364136223846793005 + number * 1442695040888963407 + 12345) % (1 << 61)
        value ^= value >> 29
    return value


def num_rows_of(request_id: int, tensor: int, *, most: int, least: int) -> int:
    return least + mixed(request_id, tensor) % (most - least + 1)


def first_value(request_id: int, tensor: int = -1, row: int = 0) -> int:
    """Before any step: that of the payload, or of a row."""
    return mixed(request_id, tensor, row) % PRIME


def changed(value: Any, times: int, plus: int) -> Any:
    return (value * times + plus) % PRIME


def is_planned_to_fail(request_id: int, step: int, one_in: int) -> bool:
    return one_in > 0 and mixed(request_id, step, 77) % one_in == 0


def planned_reason(step: int) -> str:
    return f"step {step} fails this request on purpose"


class Change(Step):
    """What all of them have in common."""

    class Options(AnyOptions):
        step: int
        """Its place in the pipeline."""
        times: Count = 1
        plus: int = 0
        fails_one_in: int = 0
        """So many requests fail, as their ids say; 0: none."""
        log: str
        """Where each request, or segment, that was served is noted in a line."""
        seconds: float = 0
        """For which it waits in each call."""
        lies_about: int = -1
        """The request whose value is wrong: to see that this is found."""

    batches_requests = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def close(self) -> None:
        os.close(self._log)

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return inputs

    def __call__(self, batch: Batch) -> Batch:
        self.fail_as_planned(batch)
        check_rows(batch)
        tensors = [self.change(tensor.clone()) for tensor in batch.tensors]
        return self.give(batch, tensors, batch.rows)

    def fail_as_planned(self, batch: Batch) -> None:
        options = self.options
        time.sleep(options.seconds)
        if ids := [one for one in batch.ids if is_planned_to_fail(one, options.step, options.fails_one_in)]:
            raise RequestError(planned_reason(options.step), ids if len(batch) > 1 else None)

    def change(self, rows: torch.Tensor) -> torch.Tensor:
        rows[:, 2] = changed(rows[:, 2], self.options.times, self.options.plus)
        return rows

    def give(self, batch: Batch, tensors: Sequence[torch.Tensor], rows: Sequence[Any]) -> Batch:
        self.note(batch.requests)
        payloads = [self.value(request) for request in batch.requests]
        return batch.give(tensors=tensors, rows=rows if tensors else (), payloads=payloads)

    def value(self, request: Request) -> int:
        value: int = changed(self.value_before(request), self.options.times, self.options.plus)
        return value + int(request.id == self.options.lies_about)

    def value_before(self, request: Request) -> int:
        return int(request.payload)

    def note(self, requests: Sequence[Request]) -> None:
        lines = [f"{self.options.step} {request.id} {request.segment}\n" for request in requests]
        os.write(self._log, "".join(lines).encode())

    def results(self, output: Batch) -> list[Any]:
        """Of each request: its payload, and of each tensor the number of its rows and the sum of its
        values."""
        found: list[list[int]] = [[payload] for payload in output.payloads]
        for tensor in range(len(output.tensors)):
            for result, rows in zip(found, output.split(tensor), strict=True):
                result += [len(rows), int(rows[:, 2].sum())]
        return found


class ChangeOne(Change):
    """Takes one request at a time."""

    batches_requests = False


class ChangeCopies(Change):
    """Gets tensors of its own, and changes them where they are."""

    reads_in_place = False

    def __call__(self, batch: Batch) -> Batch:
        self.fail_as_planned(batch)
        check_rows(batch)
        return self.give(batch, [self.change(tensor) for tensor in batch.tensors], batch.rows)


class ChangeInPlace(Change):
    """Writes into the slot where it is offered one."""

    writes_in_place = True

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        given = super().__call__(batch)
        return given if out is None else _moved(given, out)


class Source(Change):
    """Makes the rows of one request at a time."""

    class Options(Change.Options):
        most_rows: Count = 1
        least_rows: Literal[0, 1] = 1
        num_tensors: Literal[0, 1, 2] = 1

    batches_requests = False

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        shape = (options.most_rows, 3)
        return tuple(TensorSpec(shape, dtype) for dtype in DTYPES[: options.num_tensors])

    def __call__(self, batch: Batch) -> Batch:
        self.fail_as_planned(batch)
        made = [[self._rows(one, tensor) for one in batch.ids] for tensor in range(self.options.num_tensors)]
        rows = list(zip(*([len(one) for one in tensors] for tensors in made), strict=True))
        tensors = [self.change(torch.cat(tensors)) for tensors in made]
        return self.give(batch, tensors, rows)

    def value_before(self, request: Request) -> int:
        assert str(request.payload).endswith(".mp4")
        return first_value(request.id)

    def _rows(self, request_id: int, tensor: int) -> torch.Tensor:
        least, most = self.options.least_rows, self.options.most_rows
        count = num_rows_of(request_id, tensor, most=most, least=least)
        rows = [[request_id, row, first_value(request_id, tensor, row)] for row in range(count)]
        return torch.tensor(rows, dtype=getattr(torch, DTYPES[tensor])).reshape(count, 3)


class SourceOfMany(Source):
    """Makes the rows of several requests."""

    batches_requests = True


class SourceInPlace(Source):
    """Writes them into the slot."""

    writes_in_place = True

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        given = super().__call__(batch)
        return given if out is None else _moved(given, out)


class SourceElsewhere(SourceInPlace):
    """Is offered a slot, and leaves it."""

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        return super().__call__(batch)


class Join(Change):
    """Puts the segments of a request together."""

    class Options(Change.Options):
        aggregate: Count
        most_rows: Count = 1

    batches_requests = False
    joins_segments = True
    regroups = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._waiting: dict[int, list[Batch]] = {}

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return tuple(spec.with_rows(options.most_rows) for spec in inputs)

    @classmethod
    def num_segments_joined(cls, options: Any) -> int:
        return int(options.aggregate)

    def __call__(self, batch: Batch) -> Batch | None:  # type: ignore[override]
        self.fail_as_planned(batch)
        (request,) = batch.requests
        check_rows(batch)
        self.note(batch.requests)
        own = Batch(batch.requests, tuple(tensor.clone() for tensor in batch.tensors), batch.rows)
        segments = self._waiting.setdefault(request.id, [])
        segments.append(own)
        if len(segments) < self.options.aggregate:
            return None
        return self._joined(sorted(self._waiting.pop(request.id), key=lambda one: one.requests[0].segment))

    def _joined(self, segments: list[Batch]) -> Batch:
        (request,) = segments[0].requests
        assert {one.requests[0].payload for one in segments} == {request.payload}
        tensors = [torch.cat(parts) for parts in zip(*(one.tensors for one in segments), strict=True)]
        for tensor in tensors:
            assert tensor[:, 1].tolist() == list(range(len(tensor))), "rows are missing, or there twice"
        whole = request.whole.with_payload(self.value(request))
        rows = (tuple(map(len, tensors)),) if tensors else ()
        return Batch((whole,), tuple(map(self.change, tensors)), rows)


def check_rows(batch: Batch) -> None:
    """Each request's rows must be where the batch says, in their order."""
    for tensor in range(len(batch.tensors)):
        assert batch.tensors[tensor].dtype is getattr(torch, DTYPES[tensor])
        for request, rows in zip(batch.requests, batch.split(tensor), strict=True):
            assert rows[:, 0].eq(request.id).all(), f"{rows[:, 0].tolist()} for request {request.id}"
            assert rows[:, 1].diff().eq(1).all(), f"rows {rows[:, 1].tolist()} of request {request.id}"


def _moved(batch: Batch, out: tuple[torch.Tensor, ...]) -> Batch:
    """The same with its tensors in the first rows of a slot."""
    for tensor, slot in zip(batch.tensors, out, strict=True):
        slot[: len(tensor)] = tensor
    inside = tuple(slot[: len(tensor)] for tensor, slot in zip(batch.tensors, out, strict=True))
    return Batch(batch.requests, inside, batch.rows)
