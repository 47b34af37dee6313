"""Taking batches: those that wait, those that come in time, and what the end of the stream leaves."""

from __future__ import annotations

import threading

import pytest

from rnb.clock import now_ns
from rnb.intake import Intake
from rnb.message import Message, SlotRef
from rnb.queues import EndOfStream, MessageQueue
from rnb.stop import StopFlag, Stopped, Termination
from tests.support.cards import make_queue, part

LONG_MS = 60_000


def queue_of(*num_clips: int) -> MessageQueue:
    """A message for each request, with so many clips."""
    queue = make_queue()
    for request_id, clips in enumerate(num_clips):
        queue.put(Message(SlotRef(0, request_id), (part(request_id, clips),)))
    return queue


def intake_of(queue: MessageQueue, stop: StopFlag | None = None, **options: float) -> Intake:
    settings = {"batch_size": 1, "timeout_ms": 0.0, **options}
    return Intake(queue, stop or StopFlag(), **settings)  # type: ignore[arg-type]


def next_ids(intake: Intake, until_ns: int | None = None) -> list[int]:
    return [piece.part.request_id for piece in intake.next_batch(until_ns)]


def test_one_request_at_a_time_by_default() -> None:
    intake = intake_of(queue_of(1, 1))
    assert [next_ids(intake), next_ids(intake)] == [[0], [1]]


def test_what_waits_is_batched_without_waiting_for_more() -> None:
    intake = intake_of(queue_of(*[1] * 5), batch_size=3)
    assert [next_ids(intake), next_ids(intake)] == [[0, 1, 2], [3, 4]]


def test_a_full_batch_does_not_wait() -> None:
    assert next_ids(intake_of(queue_of(1, 1), batch_size=2, timeout_ms=LONG_MS)) == [0, 1]


def test_a_batch_waits_for_more_until_its_timeout() -> None:
    queue = queue_of(1)
    more = threading.Timer(0.05, queue.put, [Message(None, (part(9),))])
    more.start()
    assert next_ids(intake_of(queue, batch_size=2, timeout_ms=LONG_MS)) == [0, 9]
    more.join()
    before_ns = now_ns()
    queue.put(Message(None, (part(10),)))
    assert next_ids(intake_of(queue, batch_size=2, timeout_ms=30)) == [10]
    assert now_ns() - before_ns >= 30e6


def test_the_end_of_the_stream_completes_a_batch_and_is_told_after_it() -> None:
    queue = queue_of(1, 1)
    queue.close()
    intake = intake_of(queue, batch_size=5, timeout_ms=LONG_MS)
    assert next_ids(intake) == [0, 1]
    for _ in range(2):
        with pytest.raises(EndOfStream):
            intake.next_batch()


def test_a_deadline_without_a_request_gives_nothing() -> None:
    assert intake_of(make_queue(), batch_size=2, timeout_ms=LONG_MS).next_batch(now_ns() + 10_000_000) == []
    assert intake_of(make_queue()).next_batch(now_ns() - 1) == []


def test_a_deadline_in_the_past_still_takes_what_waits() -> None:
    assert next_ids(intake_of(queue_of(1)), now_ns() - 1) == [0]


def test_a_stopped_run_ends_the_wait() -> None:
    stop = StopFlag()
    threading.Timer(0.05, stop.raise_flag, [Termination.PROCESS_FAILED]).start()
    with pytest.raises(Stopped):
        intake_of(make_queue(), stop).next_batch()


def test_the_pieces_of_a_packed_message_follow_each_other() -> None:
    queue = make_queue()
    queue.put(Message(SlotRef(2, 3), (part(4, 2, 1, value="a"), part(5, 3, 1), part(6, 1, 1))))
    queue.put(Message(SlotRef(2, 0), (part(7, 1, 1),)))
    pieces = intake_of(queue, batch_size=4).next_batch()
    assert [piece.part.request_id for piece in pieces] == [4, 5, 6, 7]
    assert [piece.first_rows for piece in pieces] == [(0, 0), (2, 1), (5, 2), (0, 0)]
    assert [piece.message for piece in pieces] == [0, 0, 0, 1]
    assert [piece.slot for piece in pieces] == [SlotRef(2, 3)] * 3 + [SlotRef(2, 0)]
    assert len({piece.taken_ns for piece in pieces[:3]}) == 1
    assert pieces[0].part.value == "a"


def test_by_clips_it_takes_messages_as_long_as_the_largest_one_fits() -> None:
    intake = intake_of(queue_of(1, 11, 1, 7, 1, 1), max_clips=30, most_clips=11)
    # 20 clips leave no room for another 11.
    assert [next_ids(intake), next_ids(intake)] == [[0, 1, 2, 3], [4, 5]]
