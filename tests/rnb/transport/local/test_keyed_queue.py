"""Who gets a message as a policy: the reader of its key."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rnb.contract.request import Request
from rnb.transport.fabric import EndOfStream, QueueFull
from rnb.transport.local.keyed_queue import KeyedQueue
from rnb.transport.message import Message
from tests.support.underway import CONTEXT, drain, make_queue


def sequence_of(message: Message) -> Any:
    return (message.requests[0].parameters or {}).get("sequence")


def keyed(num_readers: int, capacity: int = 500, num_writers: int = 1) -> KeyedQueue:
    queues = [make_queue(capacity=capacity, num_writers=num_writers) for _ in range(num_readers)]
    return KeyedQueue(queues, sequence_of)


def message(request_id: int, sequence: Any = None) -> Message:
    return Message(None, (Request(request_id, parameters={"sequence": sequence}),), ((),))


def ids_by_reader(queue: KeyedQueue, num_readers: int) -> list[list[int]]:
    return [[one.requests[0].id for one in drain(queue.of_reader(number))] for number in range(num_readers)]


def test_all_messages_of_a_key_reach_one_reader_in_order() -> None:
    queue = keyed(4)
    for request_id in range(200):
        queue.put(message(request_id, f"sequence {request_id % 20}"))
    taken = ids_by_reader(queue, 4)
    assert sorted(request_id for ids in taken for request_id in ids) == list(range(200))
    assert all(ids == sorted(ids) for ids in taken)
    readers = {
        key: [n for n, ids in enumerate(taken) if any(i % 20 == key for i in ids)] for key in range(20)
    }
    assert all(len(found) == 1 for found in readers.values())


def test_keys_spread_over_the_readers() -> None:
    queue = keyed(4)
    for key in range(400):
        queue.put(message(key, key))
    assert all(60 < len(ids) < 140 for ids in ids_by_reader(queue, 4))


def test_a_message_without_a_key_goes_to_whom_the_fewest_wait_for() -> None:
    queue = keyed(3)
    busy = [queue.of_reader(number) for number in (0, 2)]
    for one in busy:
        one.put(message(0))
    queue.put(message(1))
    assert queue.of_reader(1).take(0) == message(1)
    for request_id in range(2, 9):
        queue.put(message(request_id))
    assert [queue.of_reader(number).depth() for number in range(3)] == [3, 3, 3]
    assert queue.depth() == 9


def put_all(queue: KeyedQueue, first: int) -> None:
    for request_id in range(first, 60, 2):
        queue.put(message(request_id, ("sequence", request_id % 6)))
    queue.close()


def test_writers_in_several_processes_find_the_same_reader() -> None:
    queue = KeyedQueue([make_queue(capacity=99, num_writers=3) for _ in range(3)], sequence_of)
    writers = [CONTEXT.Process(target=put_all, args=(queue, first)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    for request_id in range(6):
        queue.put(message(request_id, ("sequence", request_id)))
    taken = ids_by_reader(queue, 3)
    owners = Counter(key for ids in taken for key in {request_id % 6 for request_id in ids})
    assert owners == dict.fromkeys(range(6), 1)
    assert sum(map(len, taken)) == 66


def test_it_is_full_when_the_queue_of_the_key_is() -> None:
    queue = keyed(2, capacity=1)
    queue.put(message(0, "a"))
    with pytest.raises(QueueFull, match="test queue"):
        queue.put(message(1, "a"))
    assert (queue.name, queue.depth()) == ("test queue", 1)


def test_every_reader_is_told_the_end_after_the_last_writer() -> None:
    queue = keyed(2, num_writers=2)
    queue.close()
    for number in range(2):
        with pytest.raises(TimeoutError):
            queue.of_reader(number).take(0.01)
    queue.close()
    for number in range(2):
        with pytest.raises(EndOfStream):
            queue.of_reader(number).take(0)
