"""The calls of each step and who served them, as the timestamps of the requests tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import SENT, Event, EventKind
from rnb.record.run import Run, Times


@dataclass(frozen=True, kw_only=True)
class Visits:
    """How requests, or segments of them, went through one step: a row each; 0: not reached."""

    step: int
    request: NDArray[np.int64]
    """Its row in the run."""
    segment: NDArray[np.int64]
    """0 of a whole request."""
    replica: NDArray[np.int64]
    worker: NDArray[np.int64]
    put_ns: Times
    """When it came into the queue before the step."""
    taken_ns: Times
    slot_wait_ns: Times
    """When a step that writes in place began to wait for a free slot; else when the call began."""
    start_ns: Times
    finish_ns: Times
    slot_ns: Times
    """When there was a free slot to copy the output into; else when the call ended."""
    handoff_ns: Times


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The calls of one step that gave something out, by replica, worker and time.

    The requests of a call share its end. One that the step held back, to batch or to join it, belongs to the
    call that gave it out, and that call begins when the last of its requests came to it.
    """

    step: int
    replica: NDArray[np.int64]
    worker: NDArray[np.int64]
    start_ns: Times
    finish_ns: Times
    members: NDArray[np.int64]
    """Rows of the visits, call by call."""
    offsets: NDArray[np.int64]
    """Where each call's members begin, and where the last one's end: (num_calls + 1,)."""

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def of_member(self) -> NDArray[np.int64]:
        """The call of each member."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def last(self, values: NDArray[Any]) -> NDArray[Any]:
        """The largest of the values that the visits of each call have."""
        return _reduce(np.maximum, values[self.members], self.offsets)


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """The messages that the calls of a step made, on their way into the next queue, by call and time."""

    call: NDArray[np.int64]
    start_ns: Times
    """When the call ended, or its message before this one was put."""
    slot_ns: Times
    """When there was a free slot to copy into; the start where none was needed."""
    end_ns: Times


def visits_of(run: Run, step: int) -> Visits:
    """The visits of all requests that were taken from the queue before the step."""
    segments = list(run.segments(Event(EventKind.TAKEN, step))) or [None]
    parts = [_visits_in(run, step, segment) for segment in segments]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    reached = np.flatnonzero(columns["taken_ns"])
    return Visits(step=step, **{name: column[reached] for name, column in columns.items()})


def _visits_in(run: Run, step: int, segment: int | None) -> dict[str, NDArray[np.int64]]:
    """Of whole requests (None), or of one of their segments; these may have an event in common."""
    none = np.zeros(run.num_requests, dtype=np.int64)

    def times(kind: EventKind, default: Times = none, *, of: int = step) -> Times:
        column = _times_of(run, Event(kind, of), segment)
        return default if column is None else np.where(column > 0, column, default)

    def served_by(what: str) -> NDArray[np.int64]:
        column = run.served_by(what, step, segment)
        return none if column is None else np.maximum(np.asarray(column, dtype=np.int64), 0)

    start_ns, finish_ns = times(EventKind.STARTED), times(EventKind.FINISHED)
    sent_ns = _times_of(run, SENT, segment) if step == 0 else None
    done_before = times(EventKind.FINISHED, of=step - 1) if sent_ns is None else sent_ns
    return {
        "request": np.arange(len(none)),
        "segment": np.full(len(none), segment or 0),
        "replica": served_by("replica"),
        "worker": served_by("worker"),
        "put_ns": times(EventKind.HANDED_ON, done_before, of=step - 1),
        "taken_ns": times(EventKind.TAKEN),
        "slot_wait_ns": times(EventKind.WAITS_FOR_SLOT, start_ns),
        "start_ns": start_ns,
        "finish_ns": finish_ns,
        "slot_ns": times(EventKind.HAS_SLOT, finish_ns),
        "handoff_ns": times(EventKind.HANDED_ON),
    }


def _times_of(run: Run, event: Event, segment: int | None) -> Times | None:
    """Of this segment, or of the whole request where the event is not noted by segment; None: of neither."""
    found = run.segments(event)
    return found.get(segment, found.get(None))


def calls_of(visits: Visits) -> Calls:
    """The calls of which the end is known: those that gave something out."""
    rows = np.flatnonzero((visits.start_ns > 0) & (visits.finish_ns > 0))
    by_call = (visits.finish_ns[rows], visits.worker[rows], visits.replica[rows])
    rows = rows[np.lexsort((visits.request[rows], *by_call))]
    firsts = _firsts(visits.replica[rows], visits.worker[rows], visits.finish_ns[rows])
    return Calls(
        step=visits.step,
        replica=visits.replica[rows][firsts],
        worker=visits.worker[rows][firsts],
        start_ns=_reduce(np.maximum, visits.start_ns[rows], np.append(firsts, len(rows))),
        finish_ns=visits.finish_ns[rows][firsts],
        members=rows,
        offsets=np.append(firsts, len(rows)),
    )


def gathering_ns(visits: Visits, calls: Calls) -> Times:
    """When the first of the requests that each call was made with was taken."""
    came_with_it = visits.start_ns[calls.members] == calls.start_ns[calls.of_member]
    taken_ns = np.where(came_with_it, visits.taken_ns[calls.members], np.iinfo(np.int64).max)
    return _reduce(np.minimum, taken_ns, calls.offsets)


def deliveries_of(visits: Visits, calls: Calls) -> Deliveries:
    """Requests of a call that were put at the same time went in one message."""
    of_member, handoff_ns = calls.of_member, visits.handoff_ns[calls.members]
    rows = np.flatnonzero(handoff_ns)
    rows = rows[np.lexsort((handoff_ns[rows], of_member[rows]))]
    rows = rows[_firsts(of_member[rows], handoff_ns[rows])]
    call, end_ns = of_member[rows], handoff_ns[rows]
    start_ns = calls.finish_ns[call]
    start_ns[1:] = np.where(call[1:] == call[:-1], end_ns[:-1], start_ns[1:])
    slot_ns = visits.slot_ns[calls.members][rows]
    return Deliveries(call=call, start_ns=start_ns, slot_ns=np.clip(slot_ns, start_ns, end_ns), end_ns=end_ns)


def _reduce(function: np.ufunc, values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    reduced: NDArray[Any] = function.reduceat(values, offsets[:-1]) if len(values) else values
    return reduced


def _firsts(*keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where one of the keys, which are in order, has another value than in the row before."""
    changes = np.ones(len(keys[0]), dtype=bool)
    changes[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return np.flatnonzero(changes)
