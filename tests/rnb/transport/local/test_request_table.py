"""The request table: written by whichever process has a request, read by the driver after its end."""

from __future__ import annotations

import math
import os
import signal

import numpy as np
import pytest

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.contract.request import Request
from rnb.contract.result import ClassAndScore
from rnb.record.run import size_columns
from rnb.transport.fabric import FAILED, FINISHED, REFUSED, UNFINISHED
from rnb.transport.local.request_table import REASON_BYTES, RequestTable
from tests.support.underway import CONTEXT, make_table

TAKEN_0 = Event(EventKind.TAKEN, 0)
TAKEN_1 = Event(EventKind.TAKEN, 1)


def stamp(table: RequestTable, event: Event, request: Request, time_ns: int) -> None:
    found = table.stamp(event)
    assert found is not None
    found(request, time_ns)


def test_a_new_table_is_empty() -> None:
    table = make_table(3)
    assert not table.times.any()
    assert table.count(UNFINISHED) == 3
    assert table.outcomes["label"].tolist() == [-1] * 3
    assert np.isnan(table.outcomes["score"]).all()
    assert all((column == -1).all() for column in table.served_by_columns().values())


def test_events_are_recorded_as_told() -> None:
    table = make_table(2)
    stamp(table, DUE, Request(1), 7)
    stamp(table, SENT, Request(0), 5)
    assert table.times[1, 0] == 7
    assert table.column(SENT).tolist() == [5, 0]
    assert table.stamp(Event(EventKind.TAKEN, 9)) is None
    with pytest.raises(KeyError):
        table.column(Event(EventKind.TAKEN, 9))


def test_a_stamp_finds_the_column_of_each_segment() -> None:
    table = make_table(2)
    for segment in (1, 0):
        stamp(table, TAKEN_1, Request(1, None, segment, 2), 10 + segment)
    assert [table.column(TAKEN_1._replace(segment=segment)).tolist() for segment in (0, 1)] == [
        [0, 10],
        [0, 11],
    ]


def test_when_requests_are_due_is_noted_for_many_at_once() -> None:
    table = make_table(5)
    table.note_due(range(1, 5, 2), np.array([10, 30]))
    assert table.column(DUE).tolist() == [0, 10, 0, 30, 0]


def test_outcomes() -> None:
    table = make_table(3)
    table.finish(0, ClassAndScore(7, 0.5))
    table.fail(1, "not a video")
    assert [table.count(status) for status in (UNFINISHED, FINISHED, FAILED, REFUSED)] == [1, 1, 1, 0]
    table.refuse(2)
    table.note_rows(0, 11)
    assert table.count(REFUSED) == 1
    assert table.outcomes["num_clips"].tolist() == [11, 0, 0]
    assert (table.outcomes["label"][0], table.outcomes["score"][0]) == (7, 0.5)
    assert table.outcomes["reason"].tolist() == [b"", b"not a video", b""]


def test_sizes_and_codecs_are_columns_where_a_step_says_them() -> None:
    table = make_table(3)
    assert size_columns(table.outcomes) == {}
    table.note_codec(1, "hevc")
    table.note_codec(2, "a name that is very long")
    assert [name.tolist() for name in size_columns(table.outcomes).values()] == [["", "hevc", "a name that "]]
    table.note_size(1, 640, 360)
    columns = size_columns(table.outcomes)
    assert (columns["width"].tolist(), columns["height"].tolist()) == ([0, 640, 0], [0, 360, 0])


def test_a_remark_leaves_a_request_as_it_is() -> None:
    table = make_table(2)
    table.finish(0, None)
    table.note(0, "a.avi: ends early")
    assert table.count(FINISHED) == 1
    table.note(1, "a.avi: ends early")
    table.fail(1, "not a video")
    assert table.outcomes["reason"].tolist() == [b"a.avi: ends early", b"not a video"]


def test_results_that_are_no_class_are_kept_in_a_log() -> None:
    table = make_table(4)
    table.finish(3, {"boxes": [1, None]})
    table.finish(1, b"\x00raw")
    table.finish(0, ClassAndScore(7, 0.5))
    table.finish(2, None)
    assert table.count(FINISHED) == 4
    assert table.results() == {3: {"boxes": [1, None]}, 1: b"\x00raw"}
    assert table.outcomes["label"].tolist() == [7, -1, -1, -1]


@pytest.mark.parametrize("result", [math.nan, object(), bytes(1 << 20)])
def test_a_result_that_cannot_be_kept_is_refused(result: object) -> None:
    table = make_table(1)
    with pytest.raises(ValueError, match="the result "):
        table.finish(0, result)
    assert table.count(UNFINISHED) == 1
    assert table.results() == {}


def test_a_long_reason_is_cut() -> None:
    table = make_table(1)
    table.fail(0, "é" * 1000)
    reason = table.outcomes["reason"][0]
    assert len(reason) <= REASON_BYTES
    assert reason.decode() == "é" * (REASON_BYTES // 2)


def test_a_reason_may_name_a_file_that_is_not_utf8() -> None:
    table = make_table(1)
    table.fail(0, os.fsdecode(b"caf\xe9.mp4: not a video"))
    assert table.outcomes["reason"][0] == b"caf\\udce9.mp4: not a video"


def write_and_die(table: RequestTable) -> None:
    stamp(table, DUE, Request(1), 123)
    stamp(table, TAKEN_0, Request(1), 200)
    table.record_taken(0, Request(1), replica=4, worker=2)
    table.finish(1, ClassAndScore(3, 0.25))
    table.finish(0, ["kept"])
    table.fail(2, "broken")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_wrote_is_kept() -> None:
    table = make_table(3)
    writer = CONTEXT.Process(target=write_and_die, args=(table,))
    writer.start()
    writer.join(30)
    assert writer.exitcode == -signal.SIGKILL
    assert table.column(DUE).tolist() == [0, 123, 0]
    assert table.outcomes["status"].tolist() == [FINISHED, FINISHED, FAILED]
    assert table.results() == {0: ["kept"]}
    assert (table.outcomes["label"][1], table.outcomes["score"][1]) == (3, 0.25)
    assert table.outcomes["reason"][2] == b"broken"
    assert table.column(TAKEN_0).tolist() == [0, 200, 0]
    assert table.served_by_columns()["replica0"].tolist() == [-1, 4, -1]
    assert table.served_by_columns()["worker0"].tolist() == [-1, 2, -1]


def test_segments_are_taken_one_by_one() -> None:
    table = make_table(1)
    table.record_taken(1, Request(0, None, 1, 2), replica=3, worker=1)
    columns = {name: column.tolist() for name, column in table.served_by_columns().items()}
    assert columns == {
        "replica0": [-1], "worker0": [-1],
        "replica1-0": [-1], "worker1-0": [-1],
        "replica1-1": [3], "worker1-1": [1],
    }  # fmt: skip


@pytest.mark.parametrize("result", [ClassAndScore(2**31), ClassAndScore(3, "cat")])  # type: ignore[arg-type]
def test_a_class_that_is_no_number_of_32_bits_is_refused(result: ClassAndScore) -> None:
    table = make_table(1)
    with pytest.raises(ValueError, match="is no class of 32 bits and its score"):
        table.finish(0, result)
    assert table.count(UNFINISHED) == 1
