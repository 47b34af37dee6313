"""Handing on what a step gives: to a slot and a queue, or at the last step to where results go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from rnb.contract.request import Batch, OutputError, Request, Rows, split_rows
from rnb.contract.step import Step
from rnb.transport.clock import now_ns
from rnb.transport.fabric import Pool, Sink, Stamp, WritingEnd
from rnb.transport.message import Message, SlotRef

if TYPE_CHECKING:
    import torch


class Delivery(Protocol):
    def deliver(self, batch: Batch, slot: int | None, *, is_filled: bool) -> None:
        """Hand on one output. `slot`: one that is held for it; `is_filled`: whether it lies there already."""


class ResultDelivery:
    """The end of the pipeline."""

    def __init__(self, step: Step, sink: Sink, *, fail: Callable[[int, str], None]) -> None:
        """`fail` is told of results that the sink does not keep, by the request's id, and why."""
        self._step, self._sink, self._fail = step, sink, fail

    def deliver(self, batch: Batch, slot: int | None, *, is_filled: bool) -> None:
        results = self._step.results(batch)
        if len(results) != len(batch):
            raise OutputError(f"{len(results)} results for {len(batch)} requests")
        for request, result in zip(batch.requests, results, strict=True):
            try:
                self._sink.finish(request.id, result)
            except ValueError as error:
                self._fail(request.id, str(error))


class SlotDelivery:
    """The way to the next step: rows into slots of this replica's pool, messages into a queue."""

    def __init__(
        self,
        *,
        pool: Pool | None,
        pool_index: int | None,
        queues: Sequence[WritingEnd],
        select: Callable[[Batch], int],
        num_segments: int,
        has_slot: Stamp | None = None,
        handed_on: Stamp | None = None,
    ) -> None:
        """The stamps, if given, are recorded when there is a free slot and right before the put."""
        self._pool, self._pool_index = pool, pool_index
        self._queues, self._select, self._num_segments = queues, select, num_segments
        self._has_slot, self._handed_on = has_slot, handed_on

    def deliver(self, batch: Batch, slot: int | None, *, is_filled: bool) -> None:
        announced = 0 if self._pool is None else len(self._pool.layout)
        if batch.tensors and len(batch.tensors) != announced:
            raise OutputError(f"an output of {len(batch.tensors)} tensors; output() announces {announced}")
        queue = self._queues[self._select(batch)]
        for segment in range(self._num_segments):
            message = self._message(batch, segment, slot, is_filled)
            if segment == 0 and self._handed_on:
                _stamp(self._handed_on, batch)
            queue.put(message)

    def _message(self, batch: Batch, segment: int, slot: int | None, is_filled: bool) -> Message:
        requests, rows = batch.requests, batch.rows
        if self._num_segments > 1:
            requests = tuple(self._segment_of(request, segment) for request in requests)
            rows = self._shares(rows, segment)
        if self._pool is None or self._pool_index is None or not batch.tensors:
            return Message(None, requests, rows or ((),) * len(requests))
        if slot is None:
            slot = self._pool.take()
            if segment == 0 and self._has_slot:
                _stamp(self._has_slot, batch)
        if not is_filled:
            self._fill(slot, batch, segment)
        return Message(SlotRef(self._pool_index, slot), requests, rows)

    def _segment_of(self, request: Request, segment: int) -> Request:
        return Request(request.id, request.payload, segment, self._num_segments, request.parameters)

    def _shares(self, rows: Sequence[Rows], segment: int) -> tuple[Rows, ...]:
        """What each request has in a segment of each tensor."""
        each = [split_rows(counts, self._num_segments) for counts in zip(*rows, strict=True)]
        return tuple(tuple(shares[i][segment] for shares in each) for i in range(len(rows)))

    def _fill(self, slot: int, batch: Batch, segment: int) -> None:
        """Copy each request's rows of this segment into the slot, one after the other."""
        assert self._pool is not None
        targets = self._pool.tensors(slot)
        for number, (target, source) in enumerate(zip(targets, batch.tensors, strict=True)):
            read = written = 0
            for shares in split_rows(batch.num_rows(number), self._num_segments):
                first, count = read + sum(shares[:segment]), shares[segment]
                copy_rows(target, written, source[first : first + count])
                read, written = read + sum(shares), written + count
        if self._pool.device.is_gpu:
            import torch

            torch.cuda.current_stream(self._pool.device.torch()).synchronize()


def _stamp(stamp: Stamp, batch: Batch) -> None:
    time_ns = now_ns()
    for request in batch.requests:
        stamp(request, time_ns)


def copy_rows(target: torch.Tensor, first: int, source: torch.Tensor) -> None:
    """Copy into rows of a slot; an OutputError says when they do not fit."""
    if source.dtype != target.dtype:
        raise OutputError(f"an output of {source.dtype}, and output() announces {target.dtype}")
    if first + len(source) > len(target) or source.shape[1:] != target.shape[1:]:
        raise OutputError(
            f"an output of {tuple(source.shape)} does not fit a slot of {tuple(target.shape)} at row {first};"
            " the step's output() must give the largest output"
        )
    target[first : first + len(source)].copy_(source)
