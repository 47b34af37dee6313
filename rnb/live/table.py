"""The table of a pipeline that serves: a row for each request that is inside, used again once it is answered.

A request's id is its row and how often that had been used before, so none has the id of another. Whoever
writes late, for a request that was answered, finds another id in the row and writes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from rnb.contract.events import Event
from rnb.contract.request import Request
from rnb.contract.result import ClassAndScore, encode
from rnb.transport.clock import now_ns
from rnb.transport.fabric import NOBODY
from rnb.transport.local.outlet import Outlet
from rnb.transport.local.request_table import RequestTable
from rnb.transport.local.shared_memory import SharedMemory

NEVER_NS = (1 << 63) - 1
"""A deadline that does not pass."""
LONG_AGO_NS = 1
"""That of a request that nobody waits for any more."""
CLASS = struct.Struct("<id")
"""How a ClassAndScore is told."""


class Outcome(IntEnum):
    """What a replica tells of a request."""

    CLASS = 0
    RESULT = 1
    """As rnb/contract/result.py encodes it; nothing for None."""
    BAD = 2
    """With the reason."""
    LOST = 3
    """With the reason: through no fault of the request."""
    DROPPED = 4
    """Its deadline had passed when a worker took it, or nobody waited for it."""


class LiveTable(RequestTable):
    """What is inside; `num_requests` is how many may be at once.

    `ids` and `deadlines_ns`: of each row; -1: free. `claims`: int32 (rows, segments), the replica that has a
    segment of it, by its place in the plan.
    """

    def __init__(self, *, num_rows: int, events: Sequence[Event]) -> None:
        self._row_memory = SharedMemory(2 * num_rows * 8)
        self._num_segments = 1 + max(event.segment or 0 for event in events)
        self._claims_memory = SharedMemory(num_rows * self._num_segments * 4)
        self._outlet: Outlet | None = None
        super().__init__(num_requests=num_rows, events=events)
        self.claims[:] = NOBODY
        for row in range(num_rows):
            self.ids[row] = -1

    def _map(self) -> None:
        super()._map()
        words = memoryview(self._row_memory.buffer).cast("q")
        self.ids, self.deadlines_ns = words[: self.num_requests], words[self.num_requests :]
        self.claims = self._claims_memory.array("int32", (self.num_requests, self._num_segments))

    def __getstate__(self) -> dict[str, Any]:
        own = ("_row_memory", "_num_segments", "_claims_memory", "_outlet")
        return {**super().__getstate__(), **{key: self.__dict__[key] for key in own}}

    def told_by(self, outlet: Outlet) -> LiveTable:
        """The same table, as a process has it that tells by this outlet what becomes of requests."""
        table = LiveTable.__new__(LiveTable)
        table.__setstate__({**self.__getstate__(), "_outlet": outlet})
        return table

    # ---------------------------------------------------------------- by the server

    def row_of(self, request_id: int) -> int | None:
        """Where a request is; None: it is not inside any more."""
        row = request_id % self.num_requests
        return row if self.ids[row] == request_id else None

    def admit(self, request_id: int, deadline_ns: int) -> int:
        """Clear a free row for a request; returns it."""
        row = request_id % self.num_requests
        self.times[row] = 0
        self.served_by[row] = -1
        self.claims[row] = NOBODY
        outcome = self.outcomes[row]
        outcome["num_clips"], outcome["width"], outcome["height"] = 0, 0, 0
        outcome["codec"], outcome["reason"] = b"", b""
        self.deadlines_ns[row] = deadline_ns
        self.ids[row] = request_id
        return row

    def expire(self, request_id: int) -> None:
        """Let the deadline of a request that is inside have passed."""
        self.deadlines_ns[request_id % self.num_requests] = LONG_AGO_NS

    def dismiss(self, row: int) -> None:
        """Free a row: nobody writes to it from now on."""
        self.ids[row] = -1

    # ---------------------------------------------------------------- by replicas

    def stamp(self, event: Event) -> LiveStamp | None:
        first = self.first_column(event)
        return None if first is None else LiveStamp(self, first)

    def record_taken(self, step: int, request: Request, *, replica: int, worker: int) -> None:
        if (row := self.row_of(request.id)) is not None:
            self.served_by[row, self._first_taking[step] + request.segment] = replica, worker

    def claim(self, request: Request, replica: int) -> None:
        if (row := self.row_of(request.id)) is not None:
            self.claims[row, request.segment if request.num_segments > 1 else slice(None)] = replica

    def is_held(self, request: Request, replica: int) -> bool:
        row = self.row_of(request.id)
        return row is not None and bool((self.claims[row] == replica).any())

    def is_wanted(self, request: Request) -> bool:
        """Whole requests that are late are dropped here; a segment never is, as the others would wait for
        it."""
        row = self.row_of(request.id)
        if row is None:
            return False
        if request.num_segments > 1 or now_ns() < self.deadlines_ns[row]:
            return True
        self._tell(request.id, Outcome.DROPPED)
        return False

    def note_rows(self, request_id: int, num_rows: int) -> None:
        if (row := self.row_of(request_id)) is not None:
            super().note_rows(row, num_rows)

    def note_size(self, request_id: int, width: int, height: int) -> None:
        if (row := self.row_of(request_id)) is not None:
            super().note_size(row, width, height)

    def note_codec(self, request_id: int, codec: str) -> None:
        if (row := self.row_of(request_id)) is not None:
            super().note_codec(row, codec)

    def note(self, request_id: int, text: str) -> None:
        if (row := self.row_of(request_id)) is not None:
            super().note(row, text)

    def finish(self, request_id: int, result: Any) -> None:
        """A result that cannot be told is the step's fault, not that of the request."""
        try:
            outcome, data = _encoded(result)
        except ValueError as error:
            self.lose(request_id, str(error))
        else:
            self._tell(request_id, outcome, data)

    def fail(self, request_id: int, reason: str) -> None:
        self._tell(request_id, Outcome.BAD, reason.encode(errors="backslashreplace"))

    def lose(self, request_id: int, reason: str) -> None:
        self._tell(request_id, Outcome.LOST, reason.encode(errors="backslashreplace"))

    def _tell(self, request_id: int, outcome: Outcome, data: bytes = b"") -> None:
        assert self._outlet is not None  # the server itself tells nobody
        self._outlet.send(request_id, outcome, data)

    def has_failed(self, request_id: int) -> bool:
        """Whether it got no result, or is not inside any more."""
        return self.row_of(request_id) is None


class LiveStamp:
    """Records one kind of event, in the row of its request."""

    __slots__ = ("_first_column", "_ids", "_num_rows", "_times")

    def __init__(self, table: LiveTable, first_column: int) -> None:
        self._ids, self._num_rows, self._times = table.ids, table.num_requests, table.times
        self._first_column = first_column

    def __call__(self, request: Request, time_ns: int) -> None:
        row = request.id % self._num_rows
        if self._ids[row] == request.id:
            self._times[row, self._first_column + request.segment] = time_ns


def _encoded(result: Any) -> tuple[Outcome, bytes]:
    """Raises ValueError for a result that no client could be given."""
    if not isinstance(result, ClassAndScore):
        return Outcome.RESULT, b"" if result is None else encode(result)
    try:
        return Outcome.CLASS, CLASS.pack(*result)
    except (struct.error, TypeError) as error:
        raise ValueError(f"{result} is no class of 32 bits and its score: {error}") from None


def class_and_score(data: bytes) -> ClassAndScore:
    """As told by a replica."""
    return ClassAndScore(*CLASS.unpack(data))
