"""What a node's table has comes into the driver's, in the driver's time."""

from __future__ import annotations

import pickle
import threading

import numpy as np

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.contract.request import Request
from rnb.contract.result import ClassAndScore
from rnb.processes.gathering import Reporter, merge, note_outcomes
from rnb.processes.whereabouts import leave
from rnb.transport.clock_sync import ClockFit
from rnb.transport.fabric import FAILED, FINISHED, STATUS_NAMES, UNFINISHED
from rnb.transport.local.request_table import RequestTable

TAKEN, DONE = Event(EventKind.TAKEN, 0), Event(EventKind.FINISHED, 0)
EVENTS = (DUE, SENT, TAKEN, DONE)
CLOCK = ClockFit(origin_ns=0, offset_ns=-1000, drift=0.0, bound_ns=1, round_trip_ns=2, num_exchanges=1)


def table() -> RequestTable:
    return RequestTable(num_requests=6, events=EVENTS)


def serve(there: RequestTable, request_id: int) -> None:
    there.column(TAKEN)[request_id] = 5000 + request_id
    there.record_taken(0, Request(request_id), replica=3, worker=1)
    there.note_rows(request_id, 11)
    there.note_codec(request_id, "hevc")


def statuses(of: RequestTable) -> list[str]:
    return [STATUS_NAMES[status] for status in of.outcomes["status"]]


def test_all_that_a_node_knows_arrives() -> None:
    here, there = table(), table()
    here.note_due(range(6), np.full(6, 100))
    reporter = Reporter(there)
    for request_id in (1, 2, 3):
        serve(there, request_id)
    there.finish(1, ClassAndScore(7, 0.5))
    there.finish(2, {"any": "json"})
    there.note(2, "odd")
    there.fail(3, "no such file")
    first = reporter.news()
    assert first is not None
    assert reporter.news() is None, "nothing twice"
    assert first.results == {2: {"any": "json"}}, "at once, as the node may not live until the end"
    serve(there, 4)
    there.finish(5, b"bytes")
    there.outcomes["status"][5] = UNFINISHED  # as between the result and the outcome
    there.fail(0, "no such file")
    there.note_due(range(6), np.full(6, 7))  # by that node's clock; the driver knows it from the schedule
    second = reporter.news()
    assert second is not None
    assert second.results == {}
    for rows in (first, second, reporter.rest()):
        merge(here, pickle.loads(pickle.dumps(rows)), CLOCK, node=2)

    assert here.column(TAKEN).tolist() == [0, 4001, 4002, 4003, 4004, 0]
    assert here.column(DUE).tolist() == [100] * 6
    assert statuses(here) == ["failed", "finished", "finished", "failed", "unfinished", "finished"]
    assert here.outcomes["label"].tolist() == [-1, 7, -1, -1, -1, -1]
    assert here.outcomes["score"][1] == 0.5
    assert here.outcomes["num_clips"].tolist() == [0, 11, 11, 11, 11, 0]
    assert here.outcomes["codec"].tolist() == [b"", b"hevc", b"hevc", b"hevc", b"hevc", b""]
    assert [reason.decode() for reason in here.outcomes["reason"]][2:4] == ["odd", "node 2: no such file"]
    assert here.results() == {2: {"any": "json"}, 5: b"bytes"}
    assert here.served_by_columns()["replica0"].tolist() == [-1, 3, 3, 3, 3, -1]
    assert here.served_by_columns()["worker0"].tolist() == [-1, 1, 1, 1, 1, -1]


def test_what_another_node_failed_stays_failed_with_its_reason() -> None:
    """A node hears by the connection which requests have failed, and does not know why."""
    here, first, second = table(), table(), table()
    first.fail(0, "cannot be decoded")
    second.outcomes["status"][0] = FAILED
    for node, there in ((1, first), (2, second)):
        merge(here, Reporter(there).rest(), CLOCK, node)
    assert statuses(here)[0] == "failed"
    assert here.outcomes["reason"][0] == b"node 1: cannot be decoded"


def test_of_a_request_that_was_tried_again_the_last_try_counts() -> None:
    """Here the first try was on one node and the second on another, which finished it."""
    here, first, second = table(), table(), table()
    began_ns = np.array([0, 0, 10_000, 0, 0, 0])
    for request_id in (1, 2):
        serve(first, request_id)
    first.finish(2, "of the first try")
    first.outcomes["status"][2] = UNFINISHED  # its replica died in between
    second.column(TAKEN)[2] = 12_000
    second.record_taken(0, Request(2), replica=5, worker=0)
    second.finish(2, "of the second")
    rest = Reporter(second).news()
    assert rest is not None
    note_outcomes(here, rest)
    for node, rows in ((2, rest), (1, Reporter(first).rest())):
        merge(here, rows, CLOCK, node, began_ns)
    assert here.column(TAKEN).tolist() == [0, 4001, 11_000, 0, 0, 0]
    assert here.served_by_columns()["replica0"].tolist() == [-1, 3, 5, -1, -1, -1]
    assert here.results() == {2: "of the second"}


def test_outcomes_are_known_while_the_run_plays() -> None:
    here, there = table(), table()
    there.finish(5, ClassAndScore(1, 1.0))
    rows = Reporter(there).news()
    assert rows is not None
    note_outcomes(here, rows)
    assert (here.count(FINISHED), here.count(UNFINISHED)) == (1, 5)
    assert here.outcomes["label"][5] == -1, "the rest comes at the end"


def test_what_a_node_has_of_requests_that_have_left_is_told_at_once_where_it_may_die() -> None:
    here, there = table(), table()
    reporter = Reporter(there, first_bridge=4)
    for request_id in (1, 2, 3):
        serve(there, request_id)
    leave(there, [Request(2), Request(3)], bridge=5)
    told = reporter.news()
    assert told is not None
    merge(here, told, CLOCK, node=2)
    assert here.column(TAKEN).tolist() == [0, 0, 4002, 4003, 0, 0]
    assert statuses(here) == ["unfinished"] * 6
    assert reporter.news() is None, "nothing twice"
    leave(there, [Request(2)], bridge=5)  # it had come back
    again = reporter.news()
    assert again is not None
    assert again.times[TAKEN][0].tolist() == [2]
    there.finish(2, None)
    ended = reporter.news()
    assert ended is not None
    merge(here, ended, CLOCK, node=2)
    assert statuses(here)[2] == "finished"


def test_replicas_go_on_while_a_node_tells() -> None:
    there = RequestTable(num_requests=100_000, events=EVENTS)
    is_over = threading.Event()

    def come_back() -> None:
        while not is_over.is_set():
            there.served_by[:] = 1
            there.served_by[:] = -1

    others = threading.Thread(target=come_back)
    others.start()
    sizes = set[int]()
    try:
        while len(sizes) < 10:  # most of them while the other one writes
            for ids, values in Reporter(there).rest().served_by.values():
                assert len(ids) == len(values)
                sizes.add(len(ids))
    finally:
        is_over.set()
        others.join()
