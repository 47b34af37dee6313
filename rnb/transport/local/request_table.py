"""What happened to each request, in memory that outlives the process that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE, Event, EventKind
from rnb.contract.request import Request
from rnb.contract.result import ClassAndScore, decode, encode
from rnb.transport.fabric import DROPPED, FAILED, FINISHED, NOBODY, REFUSED, Stamp, served_by_names
from rnb.transport.local.shared_memory import SharedLog, SharedMemory

REASON_BYTES, CODEC_BYTES = 240, 12


class RequestTable:
    """Timestamps and outcomes of all requests: a row a request, written by whichever process has it.

    `times`: int64 (num_requests, len(events)), readings of the clock, 0 = not reached.
    `outcomes`: a structured array with status, label (-1 = none), score (NaN = none), num_clips,
    width and height (0 = not told), codec (empty: not told) and reason.
    `served_by`: int32 (num_requests, number of TAKEN events, 2), the replica of the step and the worker of
    the replica that took it from the queue, -1 = none. `holders` and `shunned`: int32 (num_requests,), and
    `moves`: int64 (num_requests,), of runs that try requests again; see Table. Results that are no
    ClassAndScore are in a log, in the order in which they came.
    """

    def __init__(self, *, num_requests: int, events: Sequence[Event]) -> None:
        self.num_requests, self.events = num_requests, tuple(events)
        self._takings = {event: column for column, event in enumerate(filter(_is_taking, self.events))}
        self._times_memory = SharedMemory(num_requests * len(self.events) * 8)
        self._outcomes_memory = SharedMemory(num_requests * _OUTCOME.itemsize)
        self._served_by_memory = SharedMemory(num_requests * len(self._takings) * 2 * 4)
        self._holders_memory = SharedMemory(2 * num_requests * 4)
        self._moves_memory = SharedMemory(num_requests * 8)
        self._results = SharedLog()
        self._map()
        self.outcomes["label"] = -1
        self.outcomes["score"] = np.nan
        self.served_by[:] = -1
        self.holders[:] = self.shunned[:] = NOBODY

    def _map(self) -> None:
        self._columns = {event: column for column, event in enumerate(self.events)}
        self.times = self._times_memory.array("int64", (self.num_requests, len(self.events)))
        self.outcomes = self._outcomes_memory.array(_OUTCOME, (self.num_requests,))
        self.served_by = self._served_by_memory.array("int32", (self.num_requests, len(self._takings), 2))
        self.holders, self.shunned = self._holders_memory.array("int32", (2, self.num_requests))
        self.moves = self._moves_memory.array("int64", (self.num_requests,))
        self._first_taking = {
            event.step: column for event, column in self._takings.items() if not event.segment
        }

    def __getstate__(self) -> dict[str, Any]:
        kept = ("num_requests", "events", "_takings", "_results")
        memories = ("_times_memory", "_outcomes_memory", "_served_by_memory")
        of_jobs = ("_holders_memory", "_moves_memory")
        return {key: self.__dict__[key] for key in kept + memories + of_jobs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def stamp(self, event: Event) -> Stamp | None:
        """What records the event, of whole requests and of segments; None where the run does not have it."""
        first = self.first_column(event)
        return None if first is None else TableStamp(self.times, first)

    def first_column(self, event: Event) -> int | None:
        """That of the event of whole requests, or of the first segment."""
        return next((column for one, column in self._columns.items() if one.whole == event), None)

    def record_taken(self, step: int, request: Request, *, replica: int, worker: int) -> None:
        """Note who took a request from the queue before a step."""
        self.served_by[request.id, self._first_taking[step] + request.segment] = replica, worker

    def claim(self, request: Request, replica: int) -> None:
        self.holders[request.id] = replica

    def is_held(self, request: Request, replica: int) -> bool:
        return bool(self.holders[request.id] == replica)

    def is_wanted(self, request: Request) -> bool:
        return True

    def served_by_columns(self) -> dict[str, NDArray[np.int32]]:
        """Who took each request: replica<i> and worker<i>, with -<segment> where it came in segments."""
        return served_by_columns(self.events, self.served_by)

    def column(self, event: Event) -> NDArray[np.int64]:
        return self.times[:, self._columns[event]]

    def note_due(self, request_ids: range, due_ns: NDArray[np.int64]) -> None:
        """When requests are due."""
        self.column(DUE)[request_ids] = due_ns

    def refuse(self, request_id: int) -> None:
        """A queue was full when the request came."""
        self.outcomes["status"][request_id] = REFUSED

    def drop(self, request_id: int) -> None:
        """It came to a replica too late to be worth its work."""
        self.outcomes["status"][request_id] = DROPPED

    def note_rows(self, request_id: int, num_rows: int) -> None:
        """How many rows, clips of a video say, the first step made of a request."""
        self.outcomes["num_clips"][request_id] = num_rows

    def note_size(self, request_id: int, width: int, height: int) -> None:
        """How large the pictures of a request are, in pixels."""
        outcome = self.outcomes[request_id]
        outcome["width"], outcome["height"] = width, height

    def note_codec(self, request_id: int, codec: str) -> None:
        """How they are encoded; of a long name the beginning is kept."""
        self.outcomes["codec"][request_id] = codec.encode()

    def finish(self, request_id: int, result: Any) -> None:
        """Keep the result of a request. Raises ValueError for one that cannot be kept."""
        outcome = self.outcomes[request_id]
        if isinstance(result, ClassAndScore):
            try:
                outcome["label"], outcome["score"] = result
            except (OverflowError, TypeError, ValueError) as error:
                raise ValueError(f"{result} is no class of 32 bits and its score: {error}") from None
        elif result is not None:
            self._results.append(request_id, encode(result))
        outcome["status"] = FINISHED

    def results(self) -> dict[int, Any]:
        """The results in the log, by request."""
        return {request_id: decode(data) for request_id, data in self._results.read()}

    def new_results(self) -> dict[int, Any]:
        """Those that have come since this process asked last."""
        return {request_id: decode(data) for request_id, data in self._results.follow()}

    def note(self, request_id: int, text: str) -> None:
        """Keep what is odd about a request that is served; it is lost where the request fails after all."""
        # It may name a file, whose name may hold any bytes.
        self.outcomes["reason"][request_id] = text.encode(errors="backslashreplace")[:REASON_BYTES]

    def fail(self, request_id: int, reason: str) -> None:
        self.note(request_id, reason)
        self.outcomes["status"][request_id] = FAILED

    lose = fail

    def has_failed(self, request_id: int) -> bool:
        return bool(self.outcomes["status"][request_id] == FAILED)

    def count(self, status: int) -> int:
        return int(np.count_nonzero(self.outcomes["status"] == status))


def served_by_columns(events: Sequence[Event], served_by: NDArray[np.int32]) -> dict[str, NDArray[np.int32]]:
    """The columns of `served_by` by name: replica<i> and worker<i>, with -<segment> where there are any."""
    return {
        name: served_by[:, column, index]
        for column, event in enumerate(filter(_is_taking, events))
        for index, name in enumerate(served_by_names(event))
    }


class TableStamp:
    """Records one kind of event; the columns of its segments follow each other."""

    __slots__ = ("_first_column", "_times")

    def __init__(self, times: NDArray[np.int64], first_column: int) -> None:
        self._times, self._first_column = times, first_column

    def __call__(self, request: Request, time_ns: int) -> None:
        self._times[request.id, self._first_column + request.segment] = time_ns


def _is_taking(event: Event) -> bool:
    return event.kind is EventKind.TAKEN


_OUTCOME = np.dtype(
    [
        ("status", "i4"),
        ("label", "i4"),
        ("score", "f4"),
        ("num_clips", "i4"),
        ("width", "i4"),
        ("height", "i4"),
        ("codec", f"S{CODEC_BYTES}"),
        ("reason", f"S{REASON_BYTES}"),
    ]
)
