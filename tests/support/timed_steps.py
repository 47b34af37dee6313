"""Steps that take known times, with tensors, batches, segments and slots: what a simulation must foresee."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import torch

from models.queueing.model import wait_until
from rnb.contract import Batch, Context, Count, Device, Layout, Part, Step, TensorSpec
from rnb.contract import Options as AnyOptions
from rnb.pipeline.selectors import ClipCountSelector

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


class Size(_Timed):
    """Tells how many rows a Source after it makes."""

    passes_on = True

    def __call__(self, batch: Batch) -> Batch:
        self.take_time(time.perf_counter_ns(), 0)
        return batch.give(payloads=batch.payloads, sizes=[rows_of(batch.ids[0])])


class MostRowsApart(ClipCountSelector):
    """Requests of MOST_ROWS to queue 1."""

    min_large_clips = MOST_ROWS


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


class Locking(Source):
    """The same, without giving Python's lock up, so that the threads of a process take turns; it takes no
    core, of which a machine with other work may have none free."""

    def take_time(self, started_ns: int, num_rows: int) -> None:
        ctypes.PyDLL(None).usleep(round(1e3 * call_ms(self.options.model_dump(), num_rows)))


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


class JoinSome(Join):
    """Is told how many segments there are."""

    class Options(_Timed.Options):
        aggregate: Count = 1

    @classmethod
    def num_segments_joined(cls, options: Any) -> int:
        return int(options.aggregate)


class NeedsGpu(Source):
    """Has no way to run on the CPU."""

    @classmethod
    def check_machine(cls, options: Any, device: Device) -> None:
        if not device.is_gpu:
            raise ValueError("it needs a GPU")


class Both(Source):
    """Does the work of a Source and of a ChangeOne."""

    class Options(_Timed.Options):
        change_ms: float = 0

    @classmethod
    def divided(cls, options: Any) -> list[tuple[Part, Part]]:
        fixed_ms = {"fixed_ms": options.get("fixed_ms", 0)}
        return [((Source, fixed_ms), (ChangeOne, {"fixed_ms": options.get("change_ms", 0)}))]

    def take_time(self, started_ns: int, num_rows: int) -> None:
        wait_until(started_ns + round(1e6 * (self.options.fixed_ms + self.options.change_ms)))


class Wrong(ChangeOne):
    """Gives other results with some of its options, and fails with others."""

    class Options(_Timed.Options):
        share: float = 1
        """Of the results, those that are right."""
        fails: bool = False

    def __call__(self, batch: Batch) -> Batch:
        if self.options.fails:
            raise RuntimeError("it does not work")
        return super().__call__(batch)

    def results(self, output: Batch) -> list[int]:
        return [0 if request.id % 10 < 10 * self.options.share else 1 for request in output.requests]


class HoldsOn(Change):
    """Makes messages by rules that only it knows."""

    regroups = True


class Decoder(Source):
    """Its calls decode, it says."""

    decodes = True
