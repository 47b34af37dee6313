"""Which requests of sequences a stateful step gets, with which state, and what the others are told."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest

from rnb.contract.request import Batch, Request
from rnb.contract.sequence import SequencePoint, StatefulStep
from rnb.contract.step import Context
from rnb.processes import sequence_states
from rnb.processes.intake import Piece
from rnb.processes.sequence_states import SequenceStates


class Keeper(StatefulStep):
    """Notes what happens to its states."""

    def __init__(self, idle_s: float) -> None:
        super().__init__(self.Options(sequence_idle_s=idle_s), Context())
        self.ended: list[tuple[Hashable, Any]] = []

    def start(self, sequence: Hashable) -> Any:
        return f"state of {sequence}"

    def end(self, sequence: Hashable, state: Any) -> None:
        self.ended.append((sequence, state))

    def __call__(self, batch: Batch) -> Batch:
        raise NotImplementedError


class Case:
    def __init__(self, idle_s: float = 60) -> None:
        self.step = Keeper(idle_s)
        self.failed: dict[int, str] = {}
        self.states = SequenceStates(self.step, self.failed.__setitem__)

    def serve(self, *pieces: Piece) -> list[int]:
        admitted = self.states.admit(pieces)
        self.states.conclude(pieces)
        return [piece.request.id for piece in admitted]


def piece(request_id: int, sequence: Hashable = None, *, start: bool = False, end: bool = False) -> Piece:
    parameters = None if sequence is None else SequencePoint(sequence, start, end).parameters
    return Piece(Request(request_id, parameters=parameters), (), None, (), 0, 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [0]
    monkeypatch.setattr(sequence_states, "now_ns", lambda: now[0])
    return now


def test_a_state_lives_from_start_to_end() -> None:
    case = Case()
    assert case.serve(piece(0, "a", start=True), piece(1, "b", start=True)) == [0, 1]
    assert case.step.states == {"a": "state of a", "b": "state of b"}
    assert case.serve(piece(2, "a"), piece(3, "b", end=True)) == [2, 3]
    assert case.step.states == {"a": "state of a"}
    assert case.step.ended == [("b", "state of b")]
    assert case.serve(piece(4, "c", start=True, end=True)) == [4]
    assert case.step.states == {"a": "state of a"}
    assert not case.failed


def test_a_request_without_a_sequence_under_way_fails_with_the_reason(clock: list[int]) -> None:
    case = Case(idle_s=2)
    assert case.serve(piece(0, "a", start=True, end=True)) == [0]
    assert case.serve(piece(1, "late", start=True)) == [1]
    clock[0] = 2_500_000_000
    case.states.expire()
    assert case.serve(piece(2, "a"), piece(3, "late"), piece(4, "unknown"), piece(5)) == []
    assert case.failed == {
        2: "sequence a: it has ended",
        3: "sequence late: it had no request for 2 s",
        4: "sequence unknown: its start never came",
        5: "it belongs to no sequence, and Keeper keeps state",
    }


def test_only_sequences_that_are_idle_for_too_long_are_over(clock: list[int]) -> None:
    case = Case(idle_s=1)
    assert case.states.next_timeout_ns is None
    case.serve(piece(0, "a", start=True))
    clock[0] = 400_000_000
    case.serve(piece(1, "b", start=True))
    clock[0] = 800_000_000
    case.serve(piece(2, "a"))
    assert case.states.next_timeout_ns == 1_400_000_000
    clock[0] = 1_400_000_000
    case.states.expire()
    assert case.step.ended == [("b", "state of b")]
    assert case.states.next_timeout_ns == 1_800_000_000


def test_a_sequence_may_begin_anew() -> None:
    case = Case()
    case.serve(piece(0, 7, start=True))
    assert case.serve(piece(1, 7, start=True)) == [1]
    assert case.step.ended == [(7, "state of 7")]
    assert list(case.step.states) == [7]


def test_what_is_remembered_of_sequences_that_are_over_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_states, "NUM_REMEMBERED", 2)
    case = Case()
    for number in range(3):
        case.serve(piece(number, number, start=True, end=True))
    case.serve(piece(3, 0), piece(4, 1))
    assert case.failed == {3: "sequence 0: its start never came", 4: "sequence 1: it has ended"}


def test_a_call_has_at_most_one_request_of_a_sequence_in_order() -> None:
    states = Case().states
    pieces = [piece(0, "a"), piece(1, "b"), piece(2, "a"), piece(3, "a"), piece(4, "b"), piece(5, "c")]
    calls = states.calls(pieces, batches=True)
    assert [[one.request.id for one in call] for call in calls] == [[0, 1, 5], [2, 4], [3]]
    alone = states.calls(pieces, batches=False)
    assert [[one.request.id for one in call] for call in alone] == [[0], [1], [2], [3], [4], [5]]
