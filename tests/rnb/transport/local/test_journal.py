"""A journal holds what is under way, in memory that stays when its reader dies."""

from __future__ import annotations

import os
import signal

import pytest

from rnb.transport.local.journal import Journal
from tests.support.underway import CONTEXT


def test_what_is_struck_out_is_gone() -> None:
    journal = Journal()
    entries = [journal.note(data) for data in (b"a", b"", b"ccc")]
    assert journal.left() == [b"a", b"", b"ccc"]
    journal.strike(entries[0])
    journal.strike(entries[2])
    assert journal.left() == [b""]
    journal.strike(entries[1])
    assert journal.left() == []


def test_it_holds_no_more_than_what_is_under_way() -> None:
    journal = Journal(num_bytes=200)
    for number in range(1000):
        data = bytes([number % 256]) * (number % 90)
        first, second = journal.note(data), journal.note(b"x")
        assert journal.left() == [data, b"x"]
        journal.strike(second)
        assert journal.left() == [data]
        journal.strike(first)


def test_what_is_under_way_has_a_bound() -> None:
    journal = Journal(num_bytes=100)
    entry = journal.note(bytes(60))
    with pytest.raises(ValueError, match=r"messages of 1\d\d bytes are under way; a journal has 100"):
        journal.note(bytes(20))
    assert journal.left() == [bytes(60)]
    journal.strike(entry)
    journal.note(bytes(76))  # all that there is, but for what it needs itself
    journal.clear()
    with pytest.raises(ValueError, match="a journal has 100"):
        journal.note(bytes(77))


def test_a_cleared_journal_begins_anew() -> None:
    journal = Journal()
    journal.note(b"a")
    journal.clear()
    assert journal.left() == []
    journal.note(b"b")
    assert journal.left() == [b"b"]


class Killed:
    """Dies in the middle of noting a message, between its bytes and what says that they are there."""

    size = Journal._HEAD.size

    @staticmethod
    def pack_into(*args: object) -> None:
        raise KeyboardInterrupt


def test_a_reader_that_dies_while_it_notes_leaves_what_it_had_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    for entry in [journal.note(b"short"), journal.note(b"longer")]:
        journal.strike(entry)
    monkeypatch.setattr(journal, "_HEAD", Killed, raising=False)
    with pytest.raises(KeyboardInterrupt):
        journal.note(b"\1" * 100)  # over the two that are struck out
    monkeypatch.undo()
    assert journal.left() == []


def note_and_die(journal: Journal) -> None:
    entries = [journal.note(data) for data in (b"first", b"second", b"third")]
    journal.strike(entries[1])
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_noted_is_kept() -> None:
    journal = Journal()
    reader = CONTEXT.Process(target=note_and_die, args=(journal,))
    reader.start()
    reader.join(30)
    assert reader.exitcode == -signal.SIGKILL
    assert journal.left() == [b"first", b"third"]
