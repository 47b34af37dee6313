"""Taking batches: those that wait, those that come in time, and what the end of the stream leaves."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.processes.intake import Intake
from rnb.transport.clock import now_ns
from rnb.transport.fabric import EndOfStream, Stopped
from rnb.transport.local.queues import MessageQueue
from rnb.transport.local.stop import StopFlag
from rnb.transport.message import Message, SlotRef
from tests.support.underway import make_queue, message_of

LONG_MS = 60_000


def queue_of(*num_clips: int) -> MessageQueue:
    """A message for each request, with so many clips."""
    queue = make_queue()
    for request_id, clips in enumerate(num_clips):
        queue.put(message_of(SlotRef(0, request_id), {request_id: (clips,)}))
    return queue


def intake_of(queue: MessageQueue, stop: StopFlag | None = None, **options: Any) -> Intake:
    settings = {"batch_size": 1, "timeout_ms": 0.0, **options}
    return Intake(queue, stop or StopFlag(), **settings)


def next_ids(intake: Intake, until_ns: int | None = None) -> list[int]:
    return [piece.request.id for piece in intake.gather(until_ns)]


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
    more = threading.Timer(0.05, queue.put, [message_of(None, {9: ()})])
    more.start()
    assert next_ids(intake_of(queue, batch_size=2, timeout_ms=LONG_MS)) == [0, 9]
    more.join()
    before_ns = now_ns()
    queue.put(message_of(None, {10: ()}))
    assert next_ids(intake_of(queue, batch_size=2, timeout_ms=30)) == [10]
    assert now_ns() - before_ns >= 30e6


def test_the_end_of_the_stream_completes_a_batch_and_is_told_after_it() -> None:
    queue = queue_of(1, 1)
    queue.close()
    intake = intake_of(queue, batch_size=5, timeout_ms=LONG_MS)
    assert next_ids(intake) == [0, 1]
    for _ in range(2):
        with pytest.raises(EndOfStream):
            intake.gather()


def test_a_deadline_without_a_request_gives_nothing() -> None:
    assert intake_of(make_queue(), batch_size=2, timeout_ms=LONG_MS).gather(now_ns() + 10_000_000) == []
    assert intake_of(make_queue()).gather(now_ns() - 1) == []


def test_a_deadline_in_the_past_still_takes_what_waits() -> None:
    assert next_ids(intake_of(queue_of(1)), now_ns() - 1) == [0]


def test_a_stopped_run_ends_the_wait() -> None:
    stop = StopFlag()
    threading.Timer(0.05, stop.raise_flag, [Termination.PROCESS_FAILED]).start()
    with pytest.raises(Stopped):
        intake_of(make_queue(), stop).gather()


def test_the_pieces_of_a_packed_message_follow_each_other() -> None:
    queue = make_queue()
    requests = Request(4, "a", parameters={"key": 1}), Request(5), Request(6)
    queue.put(Message(SlotRef(2, 3), requests, ((2, 1), (3, 1), (1, 1))))
    queue.put(message_of(SlotRef(2, 0), {7: (1, 1)}))
    pieces = intake_of(queue, batch_size=4).gather()
    assert [piece.request.id for piece in pieces] == [4, 5, 6, 7]
    assert [piece.first_rows for piece in pieces] == [(0, 0), (2, 1), (5, 2), (0, 0)]
    assert [piece.message for piece in pieces] == [0, 0, 0, 1]
    assert [piece.slot for piece in pieces] == [SlotRef(2, 3)] * 3 + [SlotRef(2, 0)]
    assert len({piece.taken_ns for piece in pieces[:3]}) == 1
    assert pieces[0].request == requests[0]


def test_by_clips_it_takes_messages_as_long_as_the_largest_one_fits() -> None:
    intake = intake_of(queue_of(1, 11, 1, 7, 1, 1), max_clips=30, most_rows=(11,))
    # 20 clips leave no room for another 11.
    assert [next_ids(intake), next_ids(intake)] == [[0, 1, 2, 3], [4, 5]]


def test_by_clips_the_rows_of_every_tensor_fit() -> None:
    queue = make_queue()
    for request_id, rows in enumerate([(0, 12), (1, 12), (11, 3), (1, 9), (1, 12), (1, 12)]):
        queue.put(message_of(SlotRef(0, request_id), {request_id: rows}))
    intake = intake_of(queue, max_clips=30, most_rows=(11, 12))  # so many are three of the largest messages
    assert [next_ids(intake), next_ids(intake)] == [[0, 1, 2], [3, 4, 5]]
