"""Queues: order, bounds, wrap-around, and the end told to every reader."""

import multiprocessing
import threading
from typing import Any

import pytest

from rnb.queues import EndOfStream, MessageQueue, QueueFull

CONTEXT = multiprocessing.get_context("spawn")


def make_queue(capacity: int = 10, num_writers: int = 1) -> MessageQueue:
    return MessageQueue("test queue", capacity=capacity, num_writers=num_writers, context=CONTEXT)


def test_messages_come_out_in_order() -> None:
    queue = make_queue()
    for number in range(10):
        queue.put(number)
    assert queue.depth() == 10
    assert [queue.get(0) for _ in range(10)] == list(range(10))
    assert queue.depth() == 0


def test_a_put_into_a_full_queue_is_refused_and_harms_nothing() -> None:
    queue = make_queue(capacity=2)
    queue.put("a")
    queue.put("b")
    with pytest.raises(QueueFull, match="test queue"):
        queue.put("c")
    assert [queue.get(0), queue.get(0)] == ["a", "b"]


def test_messages_wrap_around_the_ring() -> None:
    queue = make_queue(capacity=5)
    for number in range(40):  # 40 messages of 100 kB in a ring of 1 MiB
        queue.put(bytes([number]) * 100_000)
        assert queue.get(0) == bytes([number]) * 100_000


def test_a_ring_without_room_is_full_before_its_capacity() -> None:
    queue = make_queue(capacity=1000)
    for _ in range(10):
        queue.put(bytes(100_000))
    with pytest.raises(QueueFull):
        queue.put(bytes(100_000))


def test_the_room_of_a_taken_message_is_free_at_once() -> None:
    queue = make_queue(capacity=1)
    for letter in (b"a", b"b", b"c"):  # two do not fit into a ring of 1 MiB
        queue.put(letter * 700_000)
        assert queue.get(0) == letter * 700_000


def test_a_put_does_not_wait_for_a_reader_that_was_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, is_reading, may_go_on = make_queue(), threading.Event(), threading.Event()
    queue.put("first")

    def read_slowly(position: int, num_bytes: int) -> bytes:
        is_reading.set()
        assert may_go_on.wait(30)
        return MessageQueue._read(queue, position, num_bytes)

    monkeypatch.setattr(queue, "_read", read_slowly)
    taken: list[str] = []
    reader = threading.Thread(target=lambda: taken.append(queue.get(0)))
    reader.start()
    assert is_reading.wait(30)
    queue.put("second")
    assert taken == []
    may_go_on.set()
    reader.join(30)
    assert (taken, queue.get(0)) == (["first"], "second")


def test_a_message_larger_than_the_ring_says_so() -> None:
    with pytest.raises(ValueError, match=r"test queue: a message of 2\d* bytes"):
        make_queue().put(bytes(2_000_000))


def test_get_times_out() -> None:
    with pytest.raises(TimeoutError):
        make_queue().get(0.01)


def test_every_reader_is_told_the_end_after_the_last_message() -> None:
    queue = make_queue(num_writers=2)
    queue.put("last")
    queue.close()
    assert queue.get(0) == "last"
    with pytest.raises(TimeoutError):  # the other writer may still put
        queue.get(0.01)
    queue.close()
    for _ in range(50):
        with pytest.raises(EndOfStream):
            queue.get(0)


def test_readers_that_wait_already_are_told_too() -> None:
    queue = make_queue()
    ended = []

    def read() -> None:
        try:
            queue.get(10)
        except EndOfStream:
            ended.append(True)

    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join()
    assert len(ended) == 20


def drain(queue: MessageQueue, results: Any) -> None:
    taken = []
    while True:
        try:
            taken.append(queue.get(10))
        except EndOfStream:
            results.put(taken)
            results.close()
            return


def test_processes_share_the_messages_and_none_is_lost() -> None:
    queue, results = make_queue(capacity=1000), make_queue(capacity=10, num_writers=3)
    readers = [CONTEXT.Process(target=drain, args=(queue, results)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1000):
        queue.put(number)
    queue.close()
    taken = [results.get(30) for _ in readers]
    for reader in readers:
        reader.join(10)
        assert reader.exitcode == 0
    assert sorted(number for part in taken for number in part) == list(range(1000))
    assert all(part == sorted(part) for part in taken)


def test_a_reader_that_looks_often_finds_what_comes_and_the_end() -> None:
    queue = make_queue()
    timer = threading.Timer(0.05, queue.put, ["late"])
    timer.start()
    assert queue.get(5, poll_s=5) == "late"
    with pytest.raises(TimeoutError):
        queue.get(0.02, poll_s=0.01)
    queue.close()
    with pytest.raises(EndOfStream):
        queue.get(5, poll_s=5)
