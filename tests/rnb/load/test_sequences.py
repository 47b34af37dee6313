"""Which sequence each request belongs to, and where in it it stands."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.contract.sequence import SequencePoint
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.load.schedule import make_schedule
from rnb.load.sequences import Sequences


def test_requests_of_the_sequences_under_way_come_in_turn() -> None:
    sequences = Sequences(num_at_once=2, length=2, num_requests=7)
    assert [sequences.point_of(request_id) for request_id in range(7)] == [
        SequencePoint(0, is_start=True, position=0),
        SequencePoint(1, is_start=True, position=0),
        SequencePoint(0, is_end=True, position=1),
        SequencePoint(1, is_end=True, position=1),
        SequencePoint(2, is_start=True, position=0),
        SequencePoint(3, is_start=True, is_end=True, position=0),
        SequencePoint(2, is_end=True, position=1),
    ]
    assert sequences.ids.tolist() == [0, 1, 0, 1, 2, 3, 2]


@pytest.mark.parametrize(("num_at_once", "length", "num_requests"), [(1, 1, 5), (3, 4, 50), (7, 20, 30)])
def test_each_sequence_begins_once_and_ends_once_in_order(
    num_at_once: int, length: int, num_requests: int
) -> None:
    sequences = Sequences(num_at_once=num_at_once, length=length, num_requests=num_requests)
    points = [sequences.point_of(request_id) for request_id in range(num_requests)]
    assert [point.id for point in points] == sequences.ids.tolist()
    for number in {point.id for point in points}:
        mine = [point for point in points if point.id == number]
        assert [point.position for point in mine] == list(range(len(mine)))
        assert [point.is_start for point in mine] == [True] + [False] * (len(mine) - 1)
        assert [point.is_end for point in mine] == [False] * (len(mine) - 1) + [True]
        assert len(mine) <= length


def test_each_sequence_plays_one_video() -> None:
    load = Load(videos=60, sequences=4, sequence_length=5, mean_interval_ms=0)
    _, schedule = make_schedule(load, ["a.mp4", "b.mp4", "c.mp4"])
    assert schedule.sequences is not None
    ids, payloads = schedule.sequences.ids, np.array(schedule.payload_of_each())
    assert {number: set(payloads[ids == number]) for number in range(12)} == {
        number: {"abc"[number % 3] + ".mp4"} for number in range(12)
    }


def test_a_sequence_has_one_sender() -> None:
    make_schedule(Load(videos=60, sequences=4, clients=2), ["a.mp4"])
    with pytest.raises(UsageError, match="must be a multiple of 3"):
        make_schedule(Load(videos=60, sequences=4, clients=3), ["a.mp4"])
