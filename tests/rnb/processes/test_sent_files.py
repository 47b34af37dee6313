"""Files that came with requests are there until the first step is done with them, and no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.processes import sent_files
from rnb.processes.sent_files import SentFiles
from rnb.transport.fabric import GIVEN_UP
from rnb.transport.local.request_table import RequestTable

SERVED = Event(EventKind.FINISHED, 0)


@pytest.fixture
def table() -> RequestTable:
    return RequestTable(num_requests=9, events=(DUE, SENT, SERVED))


def test_a_file_is_there_until_its_request_is_served_or_has_failed(table: RequestTable) -> None:
    files = SentFiles(table)
    paths = [files.hold(number, b"%d" % number * 100_000) for number in range(3)]
    files.look()
    assert [Path(path).read_bytes() for path in paths] == [b"%d" % number * 100_000 for number in range(3)]
    table.column(SERVED)[0] = 17
    table.fail(1, "cannot be decoded")
    files.look()
    assert [Path(path).read_bytes() for path in paths] == [b"", b"", b"2" * 100_000]
    assert files.hold(3, b"another") in paths[:2], "its memory is used again"


def test_that_of_a_request_which_is_tried_again_comes_again(table: RequestTable) -> None:
    files = SentFiles(table)
    failed, _ = (files.hold(number, b"first" * 100_000) for number in (0, 1))
    table.holders[0] = GIVEN_UP
    files.look()
    assert Path(failed).read_bytes() == b""
    table.column(SERVED)[1] = 17  # by a try that came to nothing later
    for number in (0, 1):
        path = files.hold(number, b"second" * 100_000)
        files.look()
        assert Path(path).read_bytes() == b"second" * 100_000


@pytest.mark.parametrize(("limit", "most"), [("MOST_FILES", 2), ("MOST_BYTES", 20)])
def test_no_more_is_received_while_there_are_many(
    table: RequestTable, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(sent_files, limit, most)
    files = SentFiles(table)
    files.hold(0, b"x" * 10)
    assert not files.is_full
    files.hold(1, b"x" * 10)
    assert files.is_full
    table.column(SERVED)[1] = 17
    files.look()
    assert not files.is_full
