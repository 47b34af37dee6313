"""Requests under way, without a run."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnb.contract.device import CPU
from rnb.contract.events import Event
from rnb.contract.request import Batch, Request, Rows, TensorSpec
from rnb.processes.intake import Piece
from rnb.transport.fabric import EndOfStream
from rnb.transport.local.queues import MessageQueue
from rnb.transport.local.request_table import RequestTable
from rnb.transport.local.slots import SlotPool
from rnb.transport.local.stop import StopFlag
from rnb.transport.message import Message, SlotRef

if TYPE_CHECKING:
    import torch  # not at the start of each process that a test spawns

CONTEXT = multiprocessing.get_context("spawn")
EVENTS = tuple(
    map(
        Event.parse,
        ("scheduled", "enqueue_filename", "runner0_start", "runner1_start-0", "runner1_start-1"),
    )
)


def make_table(num_requests: int = 10) -> RequestTable:
    return RequestTable(num_requests=num_requests, events=EVENTS)


def make_pool(*specs: TensorSpec, num_slots: int = 5, stop: StopFlag | None = None) -> SlotPool:
    """Slots in CPU memory."""
    pool = SlotPool(layout=specs, num_slots=num_slots, device=CPU, context=CONTEXT, stop=stop or StopFlag())
    pool.allocate()
    return pool


def make_queue(name: str = "test queue", capacity: int = 20, num_writers: int = 1) -> MessageQueue:
    return MessageQueue(name, capacity=capacity, num_writers=num_writers, context=CONTEXT)


def drain(queue: MessageQueue) -> list[Message]:
    """Close a queue, and take all that waits in it."""
    queue.close()
    messages = []
    while True:
        try:
            messages.append(queue.take(1))
        except EndOfStream:
            return messages


def message_of(slot: SlotRef | None, rows: Mapping[int, Rows]) -> Message:
    """A message with these requests, by their ids."""
    return Message(slot, tuple(map(Request, rows)), tuple(rows.values()))


def batch_of(
    rows: Mapping[int, Rows], *tensors: torch.Tensor, payloads: Sequence[Any] | None = None
) -> Batch:
    """A batch of whole requests, by their ids."""
    values = payloads or [None] * len(rows)
    requests = tuple(Request(*pair) for pair in zip(rows, values, strict=True))
    return Batch(requests, tensors, tuple(rows.values()) if tensors else ())


def pieces_of(number: int, slot: SlotRef | None, rows: Mapping[int, Rows]) -> list[Piece]:
    """The pieces of a packed message: the rows of each request follow those of the one before."""
    pieces, first = [], (0,) * len(next(iter(rows.values())))
    for request_id, counts in rows.items():
        pieces.append(Piece(Request(request_id), counts, slot, first, number, 0))
        first = tuple(a + b for a, b in zip(first, counts, strict=True))
    return pieces
