"""The sequences of one stateful step: which have begun, who may call it, and when a state is let go of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

from rnb.contract.request import Request
from rnb.contract.sequence import StatefulStep, point_of
from rnb.processes.intake import Piece
from rnb.transport.clock import now_ns

NUM_REMEMBERED = 10_000
"""Of so many sequences that are over it is known why."""

Fail = Callable[[int, str], None]
"""Fails a request, by its id, for a reason."""


class SequenceStates:
    """Keeps `step.states` as the requests say."""

    def __init__(self, step: StatefulStep, fail: Fail, *, is_replaceable: bool = False) -> None:
        """`is_replaceable`: whether it may stand for a process that has died, and its states with it."""
        self._step, self._fail = step, fail
        went = ", or its state went with a replica that died" if is_replaceable else ""
        self._unknown = f"its start never came{went}"
        self._idle_s: float = step.options.sequence_idle_s
        self._last_ns: OrderedDict[Hashable, int] = OrderedDict()
        """When each sequence under way had its last request, the one that waits longest first."""
        self._over: OrderedDict[Hashable, str] = OrderedDict()

    def calls(self, pieces: Sequence[Piece], *, batches: bool) -> list[list[Piece]]:
        """The pieces of each call, in order: at most one of a sequence, and one in all without `batches`."""
        calls: list[list[Piece]] = []
        latest: dict[Hashable, int] = {}
        for piece in pieces:
            point = point_of(piece.request)
            key = None if point is None else point.id
            first = latest.get(key, -1) + 1 if batches else len(calls)
            if first == len(calls):
                calls.append([])
            calls[first].append(piece)
            latest[key] = first
        return calls

    def admit(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Those of a call whose sequence is under way, or begins; the others have failed."""
        return [piece for piece in pieces if self._is_admitted(piece.request)]

    def _is_admitted(self, request: Request) -> bool:
        point = point_of(request)
        if point is None:
            self._fail(request.id, f"it belongs to no sequence, and {type(self._step).__name__} keeps state")
            return False
        if point.is_start:
            if point.id in self._last_ns:
                self._let_go(point.id, "it began anew")
            self._step.states[point.id] = self._step.start(point.id)
        elif point.id not in self._last_ns:
            self._fail(request.id, f"sequence {point.id}: {self._over.get(point.id, self._unknown)}")
            return False
        self._last_ns[point.id] = now_ns()
        self._last_ns.move_to_end(point.id)
        return True

    def conclude(self, pieces: Sequence[Piece]) -> None:
        """After a call: the sequences whose last request this was are over."""
        for piece in pieces:
            point = point_of(piece.request)
            if point is not None and point.is_end and point.id in self._last_ns:
                self._let_go(point.id, "it has ended")

    @property
    def next_timeout_ns(self) -> int | None:
        """When a sequence will have been idle for too long; None: none is under way."""
        oldest = next(iter(self._last_ns.values()), None)
        return None if oldest is None else oldest + int(self._idle_s * 1e9)

    def expire(self) -> None:
        """Let go of those that were idle for too long."""
        while (deadline_ns := self.next_timeout_ns) is not None and now_ns() >= deadline_ns:
            self._let_go(next(iter(self._last_ns)), f"it had no request for {self._idle_s:g} s")

    def _let_go(self, sequence: Hashable, why: str) -> None:
        del self._last_ns[sequence]
        self._step.end(sequence, self._step.states.pop(sequence))
        self._over[sequence] = why
        if len(self._over) > NUM_REMEMBERED:
            self._over.popitem(last=False)
