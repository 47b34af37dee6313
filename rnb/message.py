"""What crosses a queue: which requests, where their rows are, and their non-tensor values."""

from typing import Any, NamedTuple


class SlotRef(NamedTuple):
    """A slot: the pool (one per producing replica) and its number in there."""

    pool: int
    number: int


class Part(NamedTuple):
    """One request's share of a message: its rows lie in the slot after those of the parts before it."""

    request_id: int
    segment: int
    """Which segment of the request this is; 0 when it is whole."""
    num_segments: int
    num_rows: tuple[int, ...]
    """Rows of each tensor; empty when the message has no slot."""
    value: Any
    """The non-tensor value."""


class Message(NamedTuple):
    slot: SlotRef | None
    parts: tuple[Part, ...]


def split_rows(num_rows: int, num_segments: int) -> list[int]:
    """Rows of each segment, as even as can be with the larger ones first: 11 in 3 is [4, 4, 3]."""
    quotient, remainder = divmod(num_rows, num_segments)
    return [quotient + (segment < remainder) for segment in range(num_segments)]
