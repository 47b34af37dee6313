"""The rows of what is inside: cleared for each request, and safe from those that were there before."""

from __future__ import annotations

import pytest

from rnb.contract.events import Event
from rnb.contract.request import Request
from rnb.contract.result import ClassAndScore
from rnb.live.table import LONG_AGO_NS, NEVER_NS, LiveTable, Outcome, class_and_score
from rnb.transport.fabric import NOBODY
from rnb.transport.local.outlet import Collector, outlet
from tests.support.underway import EVENTS

NUM_ROWS = 4


@pytest.fixture
def ends() -> tuple[LiveTable, LiveTable, Collector]:
    """The server's table, a replica's, and where that tells."""
    table = LiveTable(num_rows=NUM_ROWS, events=EVENTS)
    collector, end = outlet()
    return table, table.told_by(end), collector


def test_a_request_that_is_gone_changes_nothing_of_the_one_in_its_row(
    ends: tuple[LiveTable, LiveTable, Collector],
) -> None:
    server, replica, _ = ends
    event = Event.parse("runner0_start")
    stamp = replica.stamp(event)
    assert stamp is not None
    old, new = Request(1), Request(1 + NUM_ROWS)
    row = server.admit(old.id, NEVER_NS)
    stamp(old, 5)
    replica.record_taken(0, old, replica=2, worker=1)
    replica.claim(old, 2)
    replica.note(old.id, "odd")
    replica.note_rows(old.id, 7)
    assert (server.column(event)[row], server.outcomes["num_clips"][row]) == (5, 7)
    assert server.is_held(old, 2)
    server.dismiss(row)
    assert server.admit(new.id, NEVER_NS) == row
    stamp(old, 6)
    replica.record_taken(0, old, replica=3, worker=1)
    replica.claim(old, 3)
    replica.note(old.id, "odd")
    replica.note_rows(old.id, 7)
    assert not server.times[row].any()
    assert (server.served_by[row] == -1).all()
    assert (server.claims[row] == NOBODY).all()
    assert (server.outcomes["num_clips"][row], server.outcomes["reason"][row]) == (0, b"")
    assert not replica.is_wanted(old)
    assert replica.is_wanted(new)
    assert (replica.has_failed(old.id), replica.has_failed(new.id)) == (True, False)


def test_segments_are_claimed_each_for_itself(ends: tuple[LiveTable, LiveTable, Collector]) -> None:
    server, replica, _ = ends
    whole = Request(0)
    server.admit(0, NEVER_NS)
    replica.claim(whole, 1)
    replica.claim(Request(0, segment=0, num_segments=2), 2)
    assert [server.is_held(whole, number) for number in (1, 2, 3)] == [True, True, False]
    replica.claim(Request(0, segment=1, num_segments=2), 3)
    assert [server.is_held(whole, number) for number in (1, 2, 3)] == [False, True, True]
    replica.claim(whole, 4)
    assert [server.is_held(whole, number) for number in (2, 3, 4)] == [False, False, True]


def test_what_is_late_is_dropped_and_told_but_no_segment(
    ends: tuple[LiveTable, LiveTable, Collector],
) -> None:
    server, replica, collector = ends
    server.admit(0, NEVER_NS)
    server.admit(1, LONG_AGO_NS)
    assert replica.is_wanted(Request(0))
    assert replica.is_wanted(Request(1, segment=1, num_segments=2)), "the others of it would wait for it"
    assert collector.receive() == []
    assert not replica.is_wanted(Request(1))
    assert [record[:2] for record in collector.receive()] == [(1, Outcome.DROPPED)]


def test_outcomes_are_told_as_they_are(ends: tuple[LiveTable, LiveTable, Collector]) -> None:
    _, replica, collector = ends
    replica.finish(5, ClassAndScore(3, 0.1))
    replica.finish(6, {"boxes": [1, 2]})
    replica.finish(7, b"\0\xff")
    replica.finish(8, None)
    replica.fail(9, "é")
    replica.lose(10, "gone")
    replica.finish(11, object())
    replica.finish(12, ClassAndScore(1 << 40, 0.1))
    *told, not_json, too_large = collector.receive()
    assert [not_json[:2], too_large[:2]] == [(11, Outcome.LOST), (12, Outcome.LOST)]
    assert b"neither bytes nor JSON" in not_json.data
    assert b"no class of 32 bits" in too_large.data
    assert class_and_score(told[0].data) == ClassAndScore(3, 0.1)
    assert told[1:] == [
        (6, Outcome.RESULT, b'j{"boxes": [1, 2]}'),
        (7, Outcome.RESULT, b"b\0\xff"),
        (8, Outcome.RESULT, b""),
        (9, Outcome.BAD, "é".encode()),
        (10, Outcome.LOST, b"gone"),
    ]
