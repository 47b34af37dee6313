"""Steps that take known times, with tensors, batches, segments and slots: what a simulation must foresee."""

from __future__ import annotations

import time
from typing import Any

import torch

from models.queueing.model import wait_until
from rnb.contract import Batch, Context, Layout, Step, TensorSpec
from rnb.contract import Options as AnyOptions

MOST_ROWS = 6


def rows_of(request: int) -> int:
    """Mostly two, sometimes six."""
    return MOST_ROWS if request % 5 == 2 else 2


def call_ms(options: Any, num_rows: int) -> float:
    """How long a call with so many rows takes."""
    return float(options["fixed_ms"] + options["row_ms"] * num_rows)


class _Timed(Step):
    class Options(AnyOptions):
        fixed_ms: float = 0
        row_ms: float = 0

    def take_time(self, started_ns: int, num_rows: int) -> None:
        wait_until(started_ns + round(1e6 * call_ms(self.options.model_dump(), num_rows)))


class Source(_Timed):
    """Makes the rows of a request."""

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return (TensorSpec((MOST_ROWS, 2)),)

    def __call__(self, batch: Batch) -> Batch:
        started_ns = time.perf_counter_ns()
        rows = torch.zeros(rows_of(batch.ids[0]), 2)
        self.take_time(started_ns, len(rows))
        return batch.give(tensors=[rows], rows=[len(rows)])


class SourceInPlace(Source):
    """The same, written straight into the slot."""

    writes_in_place = True

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        made = super().__call__(batch)
        if out is None:
            return made
        rows = out[0][: len(made.tensors[0])]
        return batch.give(tensors=[rows], rows=[len(rows)])


class Change(_Timed):
    """Takes several requests and hands their rows on."""

    batches_requests = True

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return inputs

    def __call__(self, batch: Batch) -> Batch:
        self.take_time(time.perf_counter_ns(), sum(batch.num_rows()))
        return batch.give(tensors=batch.tensors, rows=batch.rows)

    def results(self, output: Batch) -> list[int]:
        return output.num_rows()


class ChangeOne(Change):
    """Takes one request at a time."""

    batches_requests = False


class Join(_Timed):
    """Puts segments together."""

    joins_segments = True
    regroups = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._rows: dict[int, list[int]] = {}

    def __call__(self, batch: Batch) -> Batch | None:
        self.take_time(time.perf_counter_ns(), sum(batch.num_rows()))
        (request,) = batch.requests
        rows = self._rows.setdefault(request.id, [])
        rows += batch.num_rows()
        if len(rows) < request.num_segments:
            return None
        del self._rows[request.id]
        return Batch((request.whole.with_payload(sum(rows)),))


class HoldsOn(Change):
    """Makes messages by rules that only it knows."""

    regroups = True


class Decoder(Source):
    """Its calls decode, it says."""

    decodes = True
