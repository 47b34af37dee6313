"""Taking messages from the input queue, several at a time when a step batches."""

from __future__ import annotations

from typing import NamedTuple

from rnb.clock import now_ns
from rnb.message import Message, Part, SlotRef
from rnb.queues import EndOfStream, MessageQueue
from rnb.slots import POLL_S
from rnb.stop import StopFlag


class Piece(NamedTuple):
    """One request of a message that was taken, and where its rows lie."""

    part: Part
    slot: SlotRef | None
    first_rows: tuple[int, ...]
    """Its first row in each of the slot's tensors."""
    message: int
    """Which message of the batch it came with."""
    taken_ns: int


class Intake:
    """Gathers up to `batch_size` requests: those that wait, and those that come within `timeout_ms`.

    With `max_clips` it gathers by clips instead: as long as another message, of up to `most_clips`, fits.
    """

    def __init__(
        self,
        queue: MessageQueue,
        stop: StopFlag,
        *,
        batch_size: int,
        timeout_ms: float,
        max_clips: int | None = None,
        most_clips: int = 0,
        poll_s: float = 0,
    ) -> None:
        self._poll_s = poll_s
        self._queue, self._stop = queue, stop
        self._batch_size, self._timeout_ns = batch_size, int(timeout_ms * 1e6)
        self._max_clips, self._most_clips = max_clips, most_clips

    def next_batch(self, until_ns: int | None = None) -> list[Piece]:
        """Wait for the next batch; nothing when `until_ns` comes first.

        Raises EndOfStream when there will be none, Stopped when the run is over.
        """
        pieces = self._take(0, until_ns)
        deadline_ns = now_ns() + self._timeout_ns
        num_messages = 1
        while pieces and self._has_room(pieces):
            try:
                more = self._take(num_messages, deadline_ns)
            except EndOfStream:
                break
            if not more:
                break
            pieces += more
            num_messages += 1
        return pieces

    def _has_room(self, pieces: list[Piece]) -> bool:
        if self._max_clips is None:
            return len(pieces) < self._batch_size
        return sum(piece.part.num_rows[0] for piece in pieces) + self._most_clips <= self._max_clips

    def _take(self, number: int, until_ns: int | None) -> list[Piece]:
        while True:
            self._stop.check()
            left_s = POLL_S if until_ns is None else (until_ns - now_ns()) / 1e9
            try:
                message = self._queue.get(max(0.0, min(POLL_S, left_s)), poll_s=self._poll_s)
            except TimeoutError:
                if until_ns is not None and now_ns() >= until_ns:
                    return []
            else:
                return _pieces(message, number, now_ns())


def _pieces(message: Message, number: int, taken_ns: int) -> list[Piece]:
    pieces, first_rows = [], (0,) * len(message.parts[0].num_rows)
    for part in message.parts:
        pieces.append(Piece(part, message.slot, first_rows, number, taken_ns))
        first_rows = tuple(first + rows for first, rows in zip(first_rows, part.num_rows, strict=True))
    return pieces
