"""What a simulated step holds back: the requests of a batch to be, or the segments of a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rnb.contract.termination import UsageError
from rnb.pipeline.batcher import Batcher
from rnb.pipeline.plan import ReplicaPlan
from rnb.pipeline.step_type import StepType
from rnb.simulation.message import Piece

Pieces = Sequence[Piece]


class Holding(Protocol):
    @property
    def is_holding(self) -> bool: ...

    @property
    def is_timed(self) -> bool:
        """Whether it holds something that the batch timeout gives out."""

    def outputs(self, call: Sequence[Pieces]) -> Sequence[Pieces]:
        """The messages that a call gives out."""

    def flush(self) -> Sequence[Pieces]:
        """What is held goes out now."""


def holding_of(step_type: StepType, plan: ReplicaPlan, *, arriving: int) -> Holding | None:
    """Of one worker; None where the step answers each call at once. `arriving`: segments of a request.

    Raises UsageError for a step of which nothing says what it holds back.
    """
    if not step_type.regroups:
        return None
    if step_type.joins_segments:
        return _Joining(arriving)
    if issubclass(step_type.cls, Batcher):
        return _Batching(plan.options["batch"])
    raise UsageError(f"{step_type.name} cannot be simulated: it makes messages by rules of its own")


class _Batching:
    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._held: list[Piece] = []

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    is_timed = is_holding

    def outputs(self, call: Sequence[Pieces]) -> Sequence[Pieces]:
        self._held += (piece for pieces in call for piece in pieces)
        return self.flush() if len(self._held) == self._batch else ()

    def flush(self) -> Sequence[Pieces]:
        held, self._held = self._held, []
        return [held] if held else ()


class _Joining:
    is_timed = False

    def __init__(self, arriving: int) -> None:
        self._arriving = arriving
        self._held: dict[int, list[int]] = {}
        """By request, the rows of the segments that came."""

    @property
    def is_holding(self) -> bool:
        return False

    def outputs(self, call: Sequence[Pieces]) -> Sequence[Pieces]:
        ((piece,),) = call
        rows = self._held.setdefault(piece.request, [])
        rows.append(piece.rows)
        if len(rows) < self._arriving:
            return ()
        del self._held[piece.request]
        return [[Piece(piece.request, 0, sum(rows))]]

    def flush(self) -> Sequence[Pieces]:
        return ()
