"""Requests on their way, without a run."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from typing import Any

import torch

from rnb.intake import Piece
from rnb.message import Part, SlotRef
from rnb.queues import MessageQueue
from rnb.request_table import RequestTable
from rnb.slots import SlotLayout, SlotPool
from rnb.stop import StopFlag
from rnb.time_card import TimeCard

CONTEXT = multiprocessing.get_context("spawn")
CPU = torch.device("cpu")


EVENTS = ("scheduled", "enqueue_filename", "runner0_start", "runner1_start-0", "runner1_start-1")


def make_table(num_requests: int = 10) -> RequestTable:
    return RequestTable(num_requests=num_requests, events=EVENTS)


def part(request_id: int, *num_rows: int, value: Any = None) -> Part:
    return Part(request_id, 0, 1, num_rows, value)


def card(request_id: int, *num_rows: int) -> TimeCard:
    """A whole request that brought so many rows of each tensor."""
    return TimeCard(part(request_id, *num_rows), make_table())


def make_pool(*shapes: tuple[int, ...], num_slots: int = 5) -> SlotPool:
    layout = SlotLayout(shapes=shapes, dtype=torch.float32)
    pool = SlotPool(layout=layout, num_slots=num_slots, device=CPU, context=CONTEXT, stop=StopFlag())
    pool.allocate()
    return pool


def make_queue(name: str = "test queue", capacity: int = 20) -> MessageQueue:
    return MessageQueue(name, capacity=capacity, num_writers=1, context=CONTEXT)


def pieces_of(message: int, slot: SlotRef | None, parts: Sequence[Part]) -> list[Piece]:
    """The pieces of a packed message: the rows of each request follow those of the one before."""
    pieces, first = [], (0,) * len(parts[0].num_rows)
    for one in parts:
        pieces.append(Piece(one, slot, first, message, 0))
        first = tuple(a + b for a, b in zip(first, one.num_rows, strict=True))
    return pieces
