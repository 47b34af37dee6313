"""What crosses a queue: which requests, where their rows are, and what is said of them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from rnb.contract.request import Request, Rows
from rnb.contract.sequence import point_of


class SlotRef(NamedTuple):
    """A slot: the pool (one per producing replica) and its number in there."""

    pool: int
    number: int


class Message(NamedTuple):
    """The rows of the requests lie in the slot, one request after the other."""

    slot: SlotRef | None
    requests: tuple[Request, ...]
    rows: tuple[Rows, ...]
    """Of each request, in each tensor; empty tuples when there is no slot."""


def sequence_of(message: Message) -> Hashable | None:
    """The sequence of the message's one request; None: it belongs to none."""
    point = point_of(message.requests[0])
    return None if point is None else point.id
