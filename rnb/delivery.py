"""Handing on what a step returns: to a slot and a queue, or at the last step to the request table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch

from rnb.message import Message, Part, SlotRef, split_rows
from rnb.queues import MessageQueue
from rnb.request_table import RequestTable
from rnb.results import results_of
from rnb.selectors import Selector
from rnb.slots import SlotPool
from rnb.step import Tensors
from rnb.time_card import TimeCard, TimeCardList


class Output(NamedTuple):
    """What a step made of some requests: tensors with their rows in order, a value and a card for each."""

    tensors: Tensors
    values: Sequence[Any]
    cards: Sequence[TimeCard]

    @property
    def num_rows(self) -> list[tuple[int, ...]]:
        """Rows of each request in each tensor."""
        per_tensor = [rows_of(tensor.shape[0], self.cards) for tensor in self.tensors or ()]
        return [tuple(rows[index] for rows in per_tensor) for index in range(len(self.cards))]


def rows_of(total: int, cards: Sequence[TimeCard]) -> list[int]:
    """How the rows of an output belong to its requests: all, one each, or as many as each brought."""
    if len(cards) == 1:
        return [total]
    brought = [card.num_rows[0] for card in cards if card.num_rows]
    if sum(brought) == total and len(brought) == len(cards):
        return brought
    if total == len(cards):
        return [1] * total
    raise ValueError(f"the step returned {total} rows for {len(cards)} requests that brought {brought}")


def split_output(output: Output, counts: Sequence[int]) -> list[Output]:
    """Cut an output into several, of so many requests each."""
    if len(counts) == 1:
        return [output]
    outputs, start, starts = [], 0, [0] * len(output.tensors or ())
    num_rows = output.num_rows
    for count in counts:
        ends = [
            first + sum(rows[i] for rows in num_rows[start : start + count]) for i, first in enumerate(starts)
        ]
        cut = zip(output.tensors or (), starts, ends, strict=True)
        tensors = None if output.tensors is None else tuple(tensor[first:end] for tensor, first, end in cut)
        stop = start + count
        outputs.append(Output(tensors, output.values[start:stop], output.cards[start:stop]))
        start, starts = stop, ends
    return outputs


class Delivery(Protocol):
    def deliver(self, output: Output, slot: int | None) -> None:
        """Hand on one output; `slot` is the slot that it lies in already, if it does."""


class ResultDelivery:
    """The end of the pipeline: a request's result goes into the table."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table

    def deliver(self, output: Output, slot: int | None) -> None:
        rows = output.tensors[0] if output.tensors else None
        num_rows = [rows_of_request[0] if rows_of_request else 0 for rows_of_request in output.num_rows]
        results = results_of(output.values, rows, num_rows)
        for card, (label, score) in zip(output.cards, results, strict=True):
            self._table.finish(card.id, label=label, score=score)


class SlotDelivery:
    """The way to the next step: rows into slots of this replica's pool, messages into a queue."""

    def __init__(
        self,
        *,
        pool: SlotPool | None,
        pool_index: int | None,
        queues: Sequence[MessageQueue],
        selector: Selector,
        num_segments: int,
        slot_event: str | None = None,
        handoff_event: str | None = None,
    ) -> None:
        """The events, if given, are recorded when there is a free slot and right before the put."""
        self._pool, self._pool_index = pool, pool_index
        self._queues, self._selector, self._num_segments = queues, selector, num_segments
        self._slot_event, self._handoff_event = slot_event, handoff_event

    def deliver(self, output: Output, slot: int | None) -> None:
        card = output.cards[0] if len(output.cards) == 1 else TimeCardList(output.cards)
        value = output.values[0] if len(output.values) == 1 else output.values
        queue = self._queues[self._selector.select(output.tensors, value, card)]
        for segment in range(self._num_segments):
            message = self._message(output, segment, slot)
            if segment == 0 and self._handoff_event:
                card.record(self._handoff_event)
            queue.put(message)

    def _message(self, output: Output, segment: int, slot: int | None) -> Message:
        shares = [
            tuple(split_rows(rows, self._num_segments)[segment] for rows in part) for part in output.num_rows
        ]
        parts = tuple(
            self._part(card, value, rows, segment)
            for card, value, rows in zip(output.cards, output.values, shares, strict=True)
        )
        is_filled = slot is not None
        if self._pool is not None and output.tensors is not None and slot is None:
            slot = self._pool.take()
        if segment == 0 and self._slot_event:
            TimeCardList(output.cards).record(self._slot_event)
        if slot is None or self._pool is None or self._pool_index is None:
            return Message(None, parts)
        if not is_filled:
            self._fill(slot, output, segment)
            if self._pool.device.type == "cuda":
                torch.cuda.current_stream(self._pool.device).synchronize()
        return Message(SlotRef(self._pool_index, slot), parts)

    def _part(self, card: TimeCard, value: Any, rows: tuple[int, ...], segment: int) -> Part:
        if self._num_segments > 1:
            return Part(card.id, segment, self._num_segments, rows, value)
        return Part(card.id, card.sub_id, card.num_segments, rows, value)

    def _fill(self, slot: int, output: Output, segment: int) -> None:
        """Copy each request's rows of this segment into the slot, one after the other."""
        assert self._pool is not None
        assert output.tensors is not None
        for number, (target, source) in enumerate(zip(self._pool.tensors(slot), output.tensors, strict=True)):
            read = written = 0
            for rows in output.num_rows:
                shares = split_rows(rows[number], self._num_segments)
                first, count = read + sum(shares[:segment]), shares[segment]
                copy_rows(target, written, source[first : first + count])
                read, written = read + rows[number], written + count


def copy_rows(target: torch.Tensor, first: int, source: torch.Tensor) -> None:
    """Copy into rows of a slot; a ValueError says when they do not fit."""
    if first + len(source) > len(target) or source.shape[1:] != target.shape[1:]:
        raise ValueError(
            f"an output of {tuple(source.shape)} does not fit a slot of {tuple(target.shape)} at row {first};"
            " output_shape must give the largest output"
        )
    target[first : first + len(source)].copy_(source)
