"""Taking messages from the input queue, several at a time when a step batches."""

from __future__ import annotations

from typing import NamedTuple

from rnb.contract.request import Request, Rows
from rnb.transport.clock import now_ns
from rnb.transport.fabric import POLL_S, EndOfStream, Inlet, Stop
from rnb.transport.message import Message, SlotRef


class Piece(NamedTuple):
    """One request of a message that was taken, and where its rows lie."""

    request: Request
    rows: Rows
    slot: SlotRef | None
    first_rows: Rows
    """Its first row in each of the slot's tensors."""
    message: int
    """Which message of the gathering it came with."""
    taken_ns: int


class Intake:
    """Gathers up to `batch_size` requests: those that wait, and those that come within `timeout_ms`.

    With `max_clips`, the most rows of the first tensor, it gathers by clips instead: as long as another
    message, of up to `most_rows` in each tensor, fits. The others have room for as many largest messages.
    """

    def __init__(
        self,
        queue: Inlet,
        stop: Stop,
        *,
        batch_size: int,
        timeout_ms: float,
        max_clips: int | None = None,
        most_rows: Rows = (),
        poll_s: float = 0,
    ) -> None:
        self._poll_s = poll_s
        self._queue, self._stop = queue, stop
        self._batch_size, self._timeout_ns = batch_size, int(timeout_ms * 1e6)
        self._most_rows, self._max_rows = most_rows, _room_for(max_clips, most_rows)

    def gather(self, until_ns: int | None = None) -> list[Piece]:
        """Wait for the next messages; nothing when `until_ns` comes first.

        Raises EndOfStream when there will be none, Stopped when the run is over.
        """
        first = self._take(until_ns)
        if first is None:
            return []
        pieces, num_messages = _pieces(first, 0, now_ns()), 1
        deadline_ns = now_ns() + self._timeout_ns
        while self._has_room(pieces):
            try:
                message = self._take(deadline_ns)
            except EndOfStream:
                break
            if message is None:
                break
            pieces += _pieces(message, num_messages, now_ns())
            num_messages += 1
        return pieces

    def _has_room(self, pieces: list[Piece]) -> bool:
        if not self._max_rows:
            return len(pieces) < self._batch_size
        gathered = map(sum, zip(*(piece.rows for piece in pieces), strict=True))
        rooms = zip(gathered, self._most_rows, self._max_rows, strict=True)
        return all(rows + most <= room for rows, most, room in rooms)

    def _take(self, until_ns: int | None) -> Message | None:
        while True:
            self._stop.check()
            left_s = POLL_S if until_ns is None else (until_ns - now_ns()) / 1e9
            try:
                return self._queue.take(max(0.0, min(POLL_S, left_s)), poll_s=self._poll_s)
            except TimeoutError:
                if until_ns is not None and now_ns() >= until_ns:
                    return None


def _room_for(max_clips: int | None, most_rows: Rows) -> Rows:
    """Rows of each tensor in a call; nothing where it is requests that are counted."""
    if max_clips is None:
        return ()
    num_messages = -(-max_clips // most_rows[0])
    return (max_clips, *(most * num_messages for most in most_rows[1:]))


def _pieces(message: Message, number: int, taken_ns: int) -> list[Piece]:
    if len(message.requests) == 1:
        rows = message.rows[0]
        return [Piece(message.requests[0], rows, message.slot, (0,) * len(rows), number, taken_ns)]
    pieces, first_rows = [], (0,) * len(message.rows[0])
    for request, rows in zip(message.requests, message.rows, strict=True):
        pieces.append(Piece(request, rows, message.slot, first_rows, number, taken_ns))
        first_rows = tuple(first + count for first, count in zip(first_rows, rows, strict=True))
    return pieces
