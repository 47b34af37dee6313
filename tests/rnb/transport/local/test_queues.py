"""Queues: order, bounds, wrap-around, the end told to every reader, and what processes that die leave."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from rnb.contract.request import Request
from rnb.transport.fabric import EndOfStream, QueueFull
from rnb.transport.local.queues import MessageQueue
from rnb.transport.message import Message
from tests.support.underway import CONTEXT, make_queue


def take(queue: MessageQueue, timeout_s: float = 0, *, poll_s: float = 0) -> Any:
    return queue.take(timeout_s, poll_s=poll_s)


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


def test_one_that_was_widened_takes_more_than_its_capacity() -> None:
    queue = make_queue(capacity=1)
    queue.widen()
    for number in range(100):
        queue.put(number)
    assert [take(queue, 0) for _ in range(100)] == list(range(100))


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


def test_a_message_is_put_back_behind_the_others_whatever_the_capacity_is() -> None:
    queue = make_queue(capacity=1)
    queue.put("a")
    message = queue.take(0)
    queue.put("b")
    queue.put_back(message)
    assert queue.depth() == 2
    with pytest.raises(QueueFull):
        queue.put("c")
    assert [take(queue), take(queue)] == ["b", "a"]


def test_a_message_that_is_put_back_comes_before_the_end() -> None:
    queue = make_queue(num_writers=2)  # the reader is one of them, as long as it may put back
    queue.put("a")
    queue.close()
    queue.put_back(queue.take(0))
    queue.close()
    assert take(queue) == "a"
    with pytest.raises(EndOfStream):
        queue.take(0)


def test_a_message_is_claimed_before_the_queue_forgets_it() -> None:
    queue, claimed = make_queue(), list[Any]()
    queue.put("a")

    def die(message: Any) -> None:
        claimed.append(message)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        queue.take(0, claim=die)
    assert claimed == ["a"]
    queue.sift(lambda message: False)  # which also brings back its wake-up
    assert queue.take(0, claim=claimed.append) == "a"
    assert claimed == ["a", "a"]


def test_messages_that_are_sifted_out_are_gone_and_the_others_keep_their_order() -> None:
    queue = make_queue(capacity=30)
    for number in range(25):  # of 100 kB each, in a ring that ends at some of them
        queue.put(bytes([number]) * 50_000)
        if number < 15:
            take(queue)
    queue.sift(lambda message: message[0] % 3 == 0)
    assert queue.depth() == 6
    queue.put(bytes([99]) * 50_000)
    assert [take(queue)[0] for _ in range(7)] == [16, 17, 19, 20, 22, 23, 99]
    with pytest.raises(TimeoutError):
        take(queue)
    queue.close()
    with pytest.raises(EndOfStream):
        take(queue)


def test_a_wake_up_for_nothing_is_no_end() -> None:
    queue = make_queue()
    queue.put("a")
    queue._wakeups.release()
    assert take(queue) == "a"
    with pytest.raises(TimeoutError):
        take(queue)


def die_at(queue: MessageQueue, word: str) -> None:
    """Be killed in the middle of a put, a take, or the wait for either lock."""

    class Fatal:
        def __init__(self, header: Any) -> None:
            self.header = header

        def __getitem__(self, number: int) -> int:
            return int(self.header[number])

        def __setitem__(self, number: int, value: int) -> None:
            self.header[number] = value
            if f"after word {number}" == word:
                os.kill(os.getpid(), signal.SIGKILL)

    queue._header = Fatal(queue._header)  # type: ignore[assignment]
    if word == "before a put":
        queue._put_lock.acquire()
    elif word == "before a take":
        queue._wakeups.acquire()
        queue._get_lock.acquire()
    elif word == "awake":
        queue._wakeups.acquire()
    else:
        queue.put("of the dead") if word in ("after word 0", "after word 1") else queue.take(0)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("before a put", ["a", "b", "c"]),
        ("before a take", ["a", "b", "c"]),
        ("awake", ["a", "b", "c"]),
        ("after word 0", ["a", "b", "of the dead", "c"]),
        ("after word 1", ["a", "b", "of the dead", "c"]),
        ("after word 8", ["b", "c"]),
        ("after word 9", ["b", "c"]),
    ],
)
def test_a_queue_goes_on_after_a_process_was_killed_in_it(word: str, expected: list[str]) -> None:
    queue = make_queue()
    queue.put("a")
    queue.put("b")
    process = CONTEXT.Process(target=die_at, args=(queue, word))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    queue.sift(lambda message: False)
    assert queue.depth() == len(expected) - 1
    queue.put("c")
    assert [take(queue) for _ in expected] == expected
    with pytest.raises(TimeoutError):
        take(queue)


def test_a_queue_holds_as_many_of_the_longest_paths_as_its_capacity() -> None:
    queue = make_queue(capacity=500)
    for _ in range(500):
        queue.put(Message(None, (Request(0, "d" * 4095),), ((),)))
    assert queue.depth() == 500
