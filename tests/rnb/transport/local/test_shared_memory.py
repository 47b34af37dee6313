"""Memory that processes share, and that stays when they are gone."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from rnb.transport.local.shared_memory import SharedArray, SharedLog, SharedMemory, SharedTexts
from tests.support.underway import CONTEXT


def test_memory_is_empty_at_first_and_seen_as_arrays() -> None:
    memory = SharedMemory(32)
    assert not memory.array("int64", (4,)).any()
    memory.array("int32", (2, 2), 8)[:] = [[1, 2], [3, 4]]
    assert memory.array("int32", (8,)).tolist() == [0, 0, 1, 2, 3, 4, 0, 0]


def test_memory_may_have_no_bytes() -> None:
    assert SharedMemory(0).array("int64", (0, 3)).shape == (0, 3)
    assert SharedArray(np.zeros((0, 2))).values.shape == (0, 2)
    assert list(SharedTexts([])) == []


def test_an_array_is_copied_once() -> None:
    values = np.arange(6, dtype=np.int16).reshape(2, 3)
    shared = SharedArray(values)
    values[:] = 0
    assert shared.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert shared.values.dtype == np.int16


def test_texts_keep_every_byte_of_a_name() -> None:
    names = ["a.mp4", "", "é", os.fsdecode(b"caf\xe9.mp4")]
    texts = SharedTexts(names)
    assert list(texts) == names
    assert texts[1:3] == names[1:3]
    assert len(texts) == 4
    with pytest.raises(IndexError):
        texts[4]


def test_a_log_keeps_its_order() -> None:
    log = SharedLog()
    assert list(log.read()) == []
    records = [(3, b"c"), (-1, b""), (3, b"d" * 1000)]
    for key, data in records:
        log.append(key, data)
    assert list(log.read()) == records


def append_and_die(log: SharedLog, shared: SharedArray) -> None:
    for number in range(200):
        log.append(number, bytes(shared.values) * number)
    os.kill(os.getpid(), signal.SIGKILL)


def test_records_of_several_writers_never_mix_and_stay_when_those_die() -> None:
    log = SharedLog()
    marks = [SharedArray(np.full(8, letter, dtype=np.uint8)) for letter in (1, 2)]
    writers = [CONTEXT.Process(target=append_and_die, args=(log, mark)) for mark in marks]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == -signal.SIGKILL
    records = list(log.read())
    assert len(records) == 400
    for key, data in records:
        assert data in (bytes([1]) * 8 * key, bytes([2]) * 8 * key)


def test_what_a_process_has_followed_it_is_not_told_again() -> None:
    log = SharedLog()
    log.append(1, b"a")
    assert list(log.follow()) == [(1, b"a")]
    log.append(2, b"b")
    log.append(3, b"")
    assert list(log.follow()) == [(2, b"b"), (3, b"")]
    assert list(log.follow()) == []
    assert len(list(log.read())) == 3


@pytest.mark.parametrize("part", [b"", b"part", b"part" * 50])
def test_a_record_that_was_cut_off_is_left_out_and_those_after_it_are_there(part: bytes) -> None:
    log = SharedLog()
    log.append(1, b"whole")
    os.write(log._fd, log._mark + SharedLog._HEAD.pack(2, 1000) + part)
    assert list(log.follow()) == [(1, b"whole")]
    log.append(3, b"after it")
    assert list(log.read()) == [(1, b"whole"), (3, b"after it")]
    assert list(log.follow()) == [(3, b"after it")]
