"""What crosses a simulated queue."""

from __future__ import annotations

from typing import NamedTuple

from rnb.simulation.slots import Slots


class Piece(NamedTuple):
    """A request, or one segment of it."""

    request: int
    segment: int
    rows: int
    """Of its first tensor; 1 where there is none."""


class Message(NamedTuple):
    pieces: tuple[Piece, ...]
    slots: Slots | None
    """The pool of the slot that holds it; None where it has no tensors."""
