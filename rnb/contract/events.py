"""What happens to a request and when, as types: events (points in time) and stages (the time between two).

Their text is for files and people: `Event.name` and `Event.parse` are the columns of a run's files (the names
are snuspl/rnb's), `Stage.title` is what a person reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class EventKind(Enum):
    """Its value is the name of the event, with the step in place of `{}`."""

    DUE = "scheduled"
    """The request was to arrive."""
    SENT = "enqueue_filename"
    """The client put it into the first queue."""
    TAKEN = "runner{}_start"
    """A replica of the step took it from its queue."""
    WAITS_FOR_SLOT = "slot{}_start"
    """Its worker began to wait for a free slot; only of a step that writes in place."""
    STARTED = "inference{}_start"
    """The step's call began."""
    FINISHED = "inference{}_finish"
    """The call's work was done, on the GPU too."""
    ANSWERED = "answer{}_start"
    """The first byte of a server's answer was there; only of a run against one."""
    HAS_SLOT = "slot{}_finish"
    """There was a free slot to copy into; only of a step with slots that does not write in place."""
    HANDED_ON = "handoff{}_finish"
    """Its message was put into the next queue; of all steps but the last."""
    OTHER = "{}"
    """One that only a folder of snuspl/rnb tells of; it goes by its label, in the place of a step."""


class Event(NamedTuple):
    """One event of a request, or of one segment of it."""

    kind: EventKind
    step: int | None = None
    """None of what happens before the first step."""
    segment: int | None = None
    """None where the request is whole."""
    label: str = ""
    """Of EventKind.OTHER."""

    @property
    def name(self) -> str:
        name = self.kind.value.format(self.label or self.step)
        return name if self.segment is None else f"{name}-{self.segment}"

    @property
    def whole(self) -> Event:
        """The same event of the request as a whole."""
        return self._replace(segment=None)

    @classmethod
    def parse(cls, name: str) -> Event:
        """The event of a column. Raises ValueError for another text."""
        for kind, pattern in _PATTERNS.items():
            if match := pattern.fullmatch(name):
                numbers = match.groupdict()
                return cls(kind, _number(numbers.get("step")), _number(numbers["segment"]))
        raise ValueError(f"'{name}' is no event of a run")

    @classmethod
    def parse_any(cls, name: str) -> Event:
        """The event of a column of snuspl/rnb, whose steps may tell of events of their own."""
        try:
            return cls.parse(name)
        except ValueError:
            match = _OTHER.fullmatch(name)
            assert match
            return cls(EventKind.OTHER, segment=_number(match["segment"]), label=match["label"])


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


_SEGMENT = r"(-(?P<segment>\d+))?"
_PATTERNS = {
    kind: re.compile(kind.value.format(r"(?P<step>\d+)") + _SEGMENT)
    for kind in EventKind
    if kind is not EventKind.OTHER
}
_OTHER = re.compile(r"(?P<label>.+?)" + _SEGMENT)
DUE, SENT = Event(EventKind.DUE), Event(EventKind.SENT)


class StageKind(Enum):
    """Its value is the title, with the step in place of `{}`."""

    WAIT = "wait for step {}"
    """In the queue before the step."""
    GATHER = "gather for step {}"
    """Taken, until the batch is complete and it is the worker's turn."""
    SLOT = "slot for step {}"
    """Waiting for a free slot for the step's output."""
    CALL = "step {}"
    RECEIVE = "receive answer of step {}"
    """From the first byte of a server's answer to its last."""
    HAND_OFF = "hand-off after step {}"
    LATENESS = "lateness of the client"
    SERVICE = "service (from sending)"
    END_TO_END = "end to end"
    OTHER = "{}"
    """It ends with an EventKind.OTHER, and goes by its label."""


class Stage(NamedTuple):
    """A part of a request's way, or all of it."""

    kind: StageKind
    step: int | None = None
    label: str = ""
    """Of StageKind.OTHER."""

    def title(self, step_names: Sequence[str] = ()) -> str:
        """What a person reads; `step_names` are the classes of the steps, where they are known."""
        title = self.kind.value.format(self.label or self.step)
        if self.kind is StageKind.CALL and self.step is not None and self.step < len(step_names):
            title += f" {step_names[self.step]}"
        return title

    @classmethod
    def between(cls, before: Event, after: Event) -> Stage:
        """The stage that ends with `after`, when `before` is the event before it."""
        kind = _STAGE_BEFORE.get(after.kind, StageKind.OTHER)
        if kind is StageKind.OTHER:
            return cls(kind, label=f"{before.whole.name} to {after.whole.name}")
        if after.kind is EventKind.STARTED and before.kind is EventKind.WAITS_FOR_SLOT:
            kind = StageKind.SLOT
        if after.kind is EventKind.FINISHED and before.kind is EventKind.ANSWERED:
            kind = StageKind.RECEIVE
        return cls(kind, after.step)

    @property
    def is_part(self) -> bool:
        """Whether it lies between two neighbouring events: such stages add up to the latency."""
        return self.kind not in (StageKind.SERVICE, StageKind.END_TO_END)


_STAGE_BEFORE = {
    EventKind.SENT: StageKind.LATENESS,
    EventKind.TAKEN: StageKind.WAIT,
    EventKind.WAITS_FOR_SLOT: StageKind.GATHER,
    EventKind.STARTED: StageKind.GATHER,
    EventKind.ANSWERED: StageKind.CALL,
    EventKind.FINISHED: StageKind.CALL,
    EventKind.HAS_SLOT: StageKind.SLOT,
    EventKind.HANDED_ON: StageKind.HAND_OFF,
}
LATENESS, SERVICE, END_TO_END = (
    Stage(StageKind.LATENESS),
    Stage(StageKind.SERVICE),
    Stage(StageKind.END_TO_END),
)
