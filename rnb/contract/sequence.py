"""Sequences: requests that belong together, and steps that keep something from one of them to the next.

A request says with its `parameters` to which sequence it belongs and where in it it stands, by the names that
the Open Inference Protocol's extension for sequences has: sequence_id, sequence_start, sequence_end.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from rnb.contract.request import Request
from rnb.contract.step import Step

ID, START, END, POSITION = "sequence_id", "sequence_start", "sequence_end", "sequence_position"
FRAME, FRAME_STEP = "stream_frame", "stream_frame_step"
"""Of a live stream: which of its frames a request is for, and how many later that of the next one is."""


class SequencePoint(NamedTuple):
    """Where in a sequence a request stands; one that is neither start nor end is ready for what was kept."""

    id: Hashable
    is_start: bool = False
    is_end: bool = False
    position: int | None = None
    """How many of its requests were sent before; None where the sender does not say."""

    @property
    def parameters(self) -> dict[str, Any]:
        told = {ID: self.id, START: self.is_start, END: self.is_end}
        return told if self.position is None else {**told, POSITION: self.position}


def point_of(request: Request) -> SequencePoint | None:
    """Where a request stands; None: it belongs to no sequence."""
    told: Mapping[str, Any] = request.parameters or {}
    if told.get(ID) is None:
        return None
    return SequencePoint(told[ID], bool(told.get(START)), bool(told.get(END)), told.get(POSITION))


class StatefulStep(Step):
    """A step that keeps a state for each sequence.

    All requests of a sequence come to the same instance, in order, and a call has at most one of each
    sequence. `self.states` has the state of every request's sequence during a call.
    """

    class Options(Step.Options):
        sequence_idle_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
        """A sequence without a request for so long is over."""

    stateful: ClassVar[bool] = True

    def __init__(self, options: Any, context: Any) -> None:
        super().__init__(options, context)
        self.states: dict[Hashable, Any] = {}
        """By the id of the sequence."""

    def start(self, sequence: Hashable) -> Any:
        """The state of a sequence that begins."""
        raise NotImplementedError

    def end(self, sequence: Hashable, state: Any) -> None:
        """Let go of a state: the sequence has ended, was idle for too long, or began anew."""
