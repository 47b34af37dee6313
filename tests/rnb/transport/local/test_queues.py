"""Queues: order, bounds, wrap-around, leases, and the end told to every reader."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from rnb.contract.request import Request
from rnb.transport.fabric import EndOfStream, QueueFull
from rnb.transport.local.journal import Journal
from rnb.transport.local.queues import MessageQueue
from rnb.transport.message import Message
from tests.support.underway import CONTEXT, make_queue


def take(queue: MessageQueue, timeout_s: float = 0, *, poll_s: float = 0) -> Any:
    """The oldest message, dealt with at once."""
    lease = queue.take(timeout_s, poll_s=poll_s)
    lease.done()
    return lease.message


def test_messages_come_out_in_order() -> None:
    queue = make_queue()
    for number in range(10):
        queue.put(number)
    assert queue.depth() == 10
    assert [take(queue, 0) for _ in range(10)] == list(range(10))
    assert queue.depth() == 0


def test_a_put_into_a_full_queue_is_refused_and_harms_nothing() -> None:
    queue = make_queue(capacity=2)
    queue.put("a")
    queue.put("b")
    with pytest.raises(QueueFull, match="test queue"):
        queue.put("c")
    assert [take(queue, 0), take(queue, 0)] == ["a", "b"]


def test_messages_wrap_around_the_ring() -> None:
    queue = make_queue(capacity=5)
    for number in range(40):  # 40 messages of 100 kB in a ring of 1 MiB
        queue.put(bytes([number]) * 100_000)
        assert take(queue, 0) == bytes([number]) * 100_000


def test_a_ring_without_room_is_full_before_its_capacity() -> None:
    queue = make_queue(capacity=100)
    for _ in range(16):
        queue.put(bytes(100_000))
    with pytest.raises(QueueFull):
        queue.put(bytes(100_000))


def test_the_room_of_a_taken_message_is_free_at_once() -> None:
    queue = make_queue(capacity=1)
    for letter in (b"a", b"b", b"c"):  # two do not fit into a ring of 1 MiB
        queue.put(letter * 700_000)
        assert take(queue, 0) == letter * 700_000


def test_a_put_does_not_wait_for_a_reader_that_was_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, is_reading, may_go_on = make_queue(), threading.Event(), threading.Event()
    queue.put("first")

    def read_slowly(position: int, num_bytes: int) -> bytes:
        is_reading.set()
        assert may_go_on.wait(30)
        return MessageQueue._read(queue, position, num_bytes)

    monkeypatch.setattr(queue, "_read", read_slowly)
    taken: list[str] = []
    reader = threading.Thread(target=lambda: taken.append(take(queue, 0)))
    reader.start()
    assert is_reading.wait(30)
    queue.put("second")
    assert taken == []
    may_go_on.set()
    reader.join(30)
    assert (taken, take(queue, 0)) == (["first"], "second")


def test_a_message_larger_than_the_ring_says_so() -> None:
    with pytest.raises(ValueError, match=r"test queue: a message of 2\d* bytes"):
        make_queue().put(bytes(2_000_000))


def test_take_times_out() -> None:
    with pytest.raises(TimeoutError):
        take(make_queue(), 0.01)


def test_every_reader_is_told_the_end_after_the_last_message() -> None:
    queue = make_queue(num_writers=2)
    queue.put("last")
    queue.close()
    assert take(queue, 0) == "last"
    with pytest.raises(TimeoutError):  # the other writer may still put
        take(queue, 0.01)
    queue.close()
    for _ in range(50):
        with pytest.raises(EndOfStream):
            take(queue, 0)


def test_readers_that_wait_already_are_told_too() -> None:
    queue = make_queue()
    ended = []

    def read() -> None:
        try:
            take(queue, 10)
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
            taken.append(take(queue, 10))
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
    taken = [take(results, 30) for _ in readers]
    for reader in readers:
        reader.join(10)
        assert reader.exitcode == 0
    assert sorted(number for part in taken for number in part) == list(range(1000))
    assert all(part == sorted(part) for part in taken)


def test_a_reader_that_looks_often_finds_what_comes_and_the_end() -> None:
    queue = make_queue()
    timer = threading.Timer(0.05, queue.put, ["late"])
    timer.start()
    assert take(queue, 5, poll_s=5) == "late"
    with pytest.raises(TimeoutError):
        take(queue, 0.02, poll_s=0.01)
    queue.close()
    with pytest.raises(EndOfStream):
        take(queue, 5, poll_s=5)


def test_a_lease_given_back_goes_to_another_reader() -> None:
    queue = make_queue()
    for letter in "ab":
        queue.put(letter)
    lease = queue.take(0)
    assert lease.message == "a"
    lease.give_back()
    assert queue.depth() == 2
    taken: list[str] = []
    other = threading.Thread(target=lambda: taken.extend(take(queue) for _ in range(2)))
    other.start()
    other.join(30)
    assert taken == ["b", "a"]
    with pytest.raises(TimeoutError):
        queue.take(0)


def test_a_message_is_given_back_whatever_the_capacity_is() -> None:
    queue = make_queue(capacity=1)
    queue.put("a")
    lease = queue.take(0)
    queue.put("b")
    lease.give_back()
    assert queue.depth() == 2
    with pytest.raises(QueueFull):
        queue.put("c")
    assert [take(queue), take(queue)] == ["b", "a"]


def test_a_message_that_is_given_back_comes_before_the_end() -> None:
    queue = make_queue(num_writers=2)  # the reader is one of them, as long as it may give back
    queue.put("a")
    queue.close()
    lease = queue.take(0)
    lease.give_back()
    queue.close()
    assert take(queue) == "a"
    with pytest.raises(EndOfStream):
        queue.take(0)


def test_a_lease_leaves_no_trace_in_the_journal_when_it_is_over() -> None:
    queue, journal = make_queue(), Journal()
    reader = queue.journalled(journal)
    for number in range(3):
        queue.put(number)
    leases = [reader.take(0) for _ in range(3)]
    leases[0].done()
    leases[1].give_back()
    assert queue.recover(journal) == 1
    assert [take(queue), take(queue)] == [1, 2]
    assert queue.recover(journal) == 0


def test_a_full_journal_loses_no_message() -> None:
    queue, journal = make_queue(), Journal(num_bytes=200)
    reader = queue.journalled(journal)
    for number in range(3):
        queue.put(bytes([number]) * 100)
    lease = reader.take(0)
    with pytest.raises(ValueError, match="a journal has 200"):
        reader.take(0)
    lease.done()
    assert [take(reader)[0], take(queue)[0]] == [1, 2]
    queue.close()
    with pytest.raises(EndOfStream):
        queue.take(0)


def take_and_die(reader: MessageQueue, results: MessageQueue) -> None:
    """Take five of the messages, deal with the second and the fourth, give back the fifth, and die."""
    leases = [reader.take(10) for _ in range(5)]
    for lease in (leases[1], leases[3]):
        results.put(lease.message)
        lease.done()
    leases[4].give_back()
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_reader_had_not_dealt_with_is_given_back_and_nothing_else() -> None:
    queue, results, journal = make_queue(num_writers=2), make_queue(), Journal()
    for number in range(8):
        queue.put(("request", number))
    reader = CONTEXT.Process(target=take_and_die, args=(queue.journalled(journal), results))
    reader.start()
    reader.join(60)
    assert reader.exitcode == -signal.SIGKILL
    assert [take(results), take(results)] == [("request", 1), ("request", 3)]
    queue.close()
    with pytest.raises(TimeoutError):  # held open until all is back
        [take(queue) for _ in range(7)]
    assert queue.recover(journal) == 2
    queue.close()
    assert [take(queue), take(queue)] == [("request", 0), ("request", 2)]
    with pytest.raises(EndOfStream):
        queue.take(0)


def serve_some(reader: MessageQueue, results: MessageQueue, most: int) -> None:
    """Deal with messages one by one; after `most` of them die with one in hand."""
    for number in range(most + 1):
        try:
            lease = reader.take(10)
        except EndOfStream:
            return
        if number == most:
            os.kill(os.getpid(), signal.SIGKILL)
        results.put(lease.message)
        lease.done()


def test_readers_that_die_lose_nothing_for_the_one_that_stays() -> None:
    queue, results = make_queue(capacity=100, num_writers=2), make_queue(capacity=200)
    journals = [Journal() for _ in range(3)]
    for number in range(60):
        queue.put(number)
    queue.close()
    readers = [
        CONTEXT.Process(target=serve_some, args=(queue.journalled(journal), results, most))
        for journal, most in zip(journals, (3, 7, 100), strict=True)
    ]
    for reader in readers[:2]:
        reader.start()
    for reader, journal in zip(readers[:2], journals[:2], strict=True):
        reader.join(60)
        assert reader.exitcode == -signal.SIGKILL
        assert queue.recover(journal) == 1
    queue.close()
    readers[2].start()
    readers[2].join(60)
    assert readers[2].exitcode == 0
    assert sorted(take(results) for _ in range(60)) == list(range(60))
    assert results.depth() == 0


def test_a_writer_may_come_after_the_start() -> None:
    queue = make_queue()
    queue.open()
    queue.close()
    queue.put("late")
    assert take(queue) == "late"
    with pytest.raises(TimeoutError):
        queue.take(0.01)
    queue.close()
    with pytest.raises(EndOfStream):
        queue.take(0)


def test_no_writer_may_come_after_the_end() -> None:
    queue = make_queue()
    queue.put("last")
    queue.close()
    with pytest.raises(EndOfStream, match="test queue is closed"):
        queue.open()
    assert take(queue) == "last"
    with pytest.raises(EndOfStream):
        queue.take(0)


def write_late(queue: MessageQueue) -> None:
    queue.open()
    queue.put("from afar")
    queue.close()


def test_a_writer_in_another_process_comes_and_goes() -> None:
    queue = make_queue()
    writer = CONTEXT.Process(target=write_late, args=(queue,))
    writer.start()
    assert take(queue, 60) == "from afar"
    writer.join(30)
    with pytest.raises(TimeoutError):
        queue.take(0.01)
    queue.close()
    with pytest.raises(EndOfStream):
        queue.take(0)


def test_a_queue_holds_as_many_of_the_longest_paths_as_its_capacity() -> None:
    queue = make_queue(capacity=500)
    for _ in range(500):
        queue.put(Message(None, (Request(0, "d" * 4095),), ((),)))
    assert queue.depth() == 500
