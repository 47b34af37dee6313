"""The request table: written by whichever process has a request, read by the driver after its end."""

import os
import signal

import numpy as np
import pytest

from rnb.clock import now_ns
from rnb.request_table import FAILED, FINISHED, REASON_BYTES, UNFINISHED, RequestTable
from tests.support.cards import CONTEXT, make_table


def test_a_new_table_is_empty() -> None:
    table = make_table(3)
    assert not table.times.any()
    assert table.count(UNFINISHED) == 3
    assert table.outcomes["label"].tolist() == [-1] * 3
    assert np.isnan(table.outcomes["score"]).all()
    assert all((column == -1).all() for column in table.served_by_columns().values())


def test_events_are_recorded_now_or_as_told() -> None:
    table = make_table(2)
    before_ns = now_ns()
    table.record(1, "scheduled")
    table.record(0, "enqueue_filename", 5)
    assert before_ns <= table.times[1, 0] <= now_ns()
    assert table.column("enqueue_filename").tolist() == [5, 0]
    assert table.has_event("scheduled")
    assert not table.has_event("runner9_start")
    with pytest.raises(KeyError):
        table.record(0, "runner9_start")


def test_outcomes() -> None:
    table = make_table(3)
    table.finish(0, label=7, score=0.5)
    table.fail(1, "not a video")
    assert [table.count(status) for status in (UNFINISHED, FINISHED, FAILED)] == [1, 1, 1]
    assert (table.outcomes["label"][0], table.outcomes["score"][0]) == (7, 0.5)
    assert table.outcomes["reason"].tolist() == [b"", b"not a video", b""]


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
    table.record(1, "scheduled", 123)
    table.take(1, "runner0_start", 200, replica=4, worker=2)
    table.finish(1, label=3, score=0.25)
    table.fail(2, "broken")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_wrote_is_kept() -> None:
    table = make_table(3)
    writer = CONTEXT.Process(target=write_and_die, args=(table,))
    writer.start()
    writer.join(30)
    assert writer.exitcode == -signal.SIGKILL
    assert table.column("scheduled").tolist() == [0, 123, 0]
    assert table.outcomes["status"].tolist() == [UNFINISHED, FINISHED, FAILED]
    assert (table.outcomes["label"][1], table.outcomes["score"][1]) == (3, 0.25)
    assert table.outcomes["reason"][2] == b"broken"
    assert table.column("runner0_start").tolist() == [0, 200, 0]
    assert table.served_by_columns()["replica0"].tolist() == [-1, 4, -1]
    assert table.served_by_columns()["worker0"].tolist() == [-1, 2, -1]


def test_segments_are_taken_one_by_one() -> None:
    table = make_table(1)
    table.take(0, "runner1_start-1", 5, replica=3, worker=1)
    columns = {name: column.tolist() for name, column in table.served_by_columns().items()}
    assert columns == {
        "replica0": [-1], "worker0": [-1],
        "replica1-0": [-1], "worker1-0": [-1],
        "replica1-1": [3], "worker1-1": [1],
    }  # fmt: skip
