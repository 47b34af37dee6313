"""A reader of several queues: the first that has a message, a wait on all, and the end of the last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rnb.contract.request import Request
from rnb.transport.fabric import EndOfStream, QueueFull
from rnb.transport.local.queues import MessageQueue
from rnb.transport.message import Message
from rnb.transport.several_queues import LOOK_S, SeveralQueues
from tests.support.underway import make_queue


@pytest.fixture
def queues() -> tuple[MessageQueue, MessageQueue]:
    """Of large requests and of small ones."""
    return make_queue("large"), make_queue("small")


def message(number: int) -> Message:
    return Message(None, (Request(number),), ((),))


def put(queue: MessageQueue, *numbers: int) -> None:
    for number in numbers:
        queue.put(message(number))


def taken(several: SeveralQueues, count: int) -> list[int]:
    return [several.take(10).requests[0].id for _ in range(count)]


def test_the_first_that_has_a_message(queues: Sequence[MessageQueue]) -> None:
    large, small = queues
    several = SeveralQueues(queues)
    put(small, 0, 1)
    put(large, 10, 11)
    assert taken(several, 3) == [10, 11, 0]
    put(large, 12)
    assert taken(several, 2) == [12, 1]
    with pytest.raises(TimeoutError):
        several.take(0)


@pytest.mark.parametrize("poll_s", [0, 1])
@pytest.mark.parametrize("number", [0, 1])
def test_a_message_of_any_ends_the_wait(queues: Sequence[MessageQueue], number: int, poll_s: float) -> None:
    writer = threading.Timer(0.05, put, (queues[number], 7))
    writer.start()
    start = time.monotonic()
    assert SeveralQueues(queues).take(60, poll_s=poll_s).requests[0].id == 7
    assert time.monotonic() - start < 30
    writer.join()


def test_a_wait_takes_as_long_as_it_may(queues: Sequence[MessageQueue]) -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        SeveralQueues(queues).take(0.1)
    assert time.monotonic() - start >= 0.1


def test_it_sleeps_while_it_waits(queues: Sequence[MessageQueue], monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    take: Callable[..., Any] = MessageQueue.take

    def counted(self: MessageQueue, timeout_s: float, **more: Any) -> Any:
        looks.append(timeout_s)
        return take(self, timeout_s, **more)

    monkeypatch.setattr(MessageQueue, "take", counted)
    with pytest.raises(TimeoutError):
        SeveralQueues(queues).take(50 * LOOK_S)
    assert len(looks) <= 3 * 51
    assert sum(looks) >= 25 * LOOK_S, "asleep on the first"


def test_it_ends_when_all_have_ended(queues: Sequence[MessageQueue]) -> None:
    large, small = queues
    several = SeveralQueues(queues)
    put(small, 0)
    large.close()
    assert taken(several, 1) == [0]
    put(small, 1)
    small.close()
    assert taken(several, 1) == [1]
    for reader in (several, SeveralQueues(queues)):
        with pytest.raises(EndOfStream):
            reader.take(10)
    with pytest.raises(EndOfStream):
        small.take(10)  # another reader of one of them is told, too


def test_the_end_ends_a_wait(queues: Sequence[MessageQueue]) -> None:
    closing = [threading.Timer(0.05 * number, queue.close) for number, queue in enumerate(queues)]
    for timer in closing:
        timer.start()
    with pytest.raises(EndOfStream):
        SeveralQueues(queues).take(60)
    for timer in closing:
        timer.join()


def test_a_full_one_leaves_the_others_alone() -> None:
    large, small = make_queue("large", capacity=1), make_queue("small")
    put(large, 10)
    with pytest.raises(QueueFull, match="large"):
        put(large, 11)
    put(small, 0)
    assert taken(SeveralQueues([large, small]), 2) == [10, 0]


def test_a_message_is_claimed_before_its_queue_forgets_it(queues: Sequence[MessageQueue]) -> None:
    put(queues[1], 5)
    depths: list[tuple[int, int]] = []
    several = SeveralQueues(queues)
    several.take(10, claim=lambda one: depths.append((one.requests[0].id, queues[1].depth())))
    assert depths == [(5, 1)]
    assert queues[1].depth() == 0


def test_what_is_put_back_goes_where_it_came_from(queues: Sequence[MessageQueue]) -> None:
    several = SeveralQueues(queues)
    put(queues[1], 0)
    first = several.take(10)
    put(queues[0], 10)
    other = threading.Thread(target=lambda: several.put_back(several.take(10)))
    other.start()
    other.join()
    several.put_back(first)
    assert [queue.depth() for queue in queues] == [1, 1]
    assert [queue.take(0).requests[0].id for queue in queues] == [10, 0]


def test_threads_share_it(queues: Sequence[MessageQueue]) -> None:
    """Each message comes to one of them, and each of them meets the end."""
    several = SeveralQueues(queues)
    found: list[int] = []

    def read() -> None:
        try:
            while True:
                found.extend(taken(several, 1))
        except EndOfStream:
            pass

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(100):
        put(queues[number % 2], number)
        time.sleep(0.0005 * (number % 3))
    for queue in queues:
        queue.close()
    for reader in readers:
        reader.join(30)
    assert sorted(found) == list(range(100))
