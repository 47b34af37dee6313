"""A writer puts each message where the fewest wait for a reader."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from rnb.contract.request import Request
from rnb.transport.local.shared_memory import SharedArray
from rnb.transport.message import Message
from rnb.transport.spread_queue import GONE, MOST_LOOKED, SpreadQueue, Way


class Listed:
    """A queue as a list."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages: list[Message] = []
        self.is_closed = False

    def put(self, message: Message) -> None:
        self.messages.append(message)

    def put_back(self, message: Message) -> None:
        self.messages.insert(0, message)

    def depth(self) -> int:
        return len(self.messages)

    def close(self) -> None:
        self.is_closed = True


def message(number: int) -> Message:
    return Message(None, (Request(number),), ((),))


def fill(queue: SpreadQueue, count: int) -> None:
    for number in range(count):
        queue.put(message(number))


@pytest.fixture
def loads() -> SharedArray:
    return SharedArray(np.zeros(3, np.int64))


def test_each_reader_gets_as_many(loads: SharedArray) -> None:
    here, away = Listed("q"), Listed("q, to node 1")
    fill(
        SpreadQueue(
            [Way(queue=here, num_readers=1), Way(queue=away, num_readers=3, loads=loads)], key_of=None
        ),
        80,
    )
    assert (here.depth(), away.depth()) == (20, 60)


def test_where_many_wait_at_the_other_end_few_are_sent(loads: SharedArray) -> None:
    here, away = Listed("q"), Listed("q, to node 1")
    loads.values[2] = 50
    queue = SpreadQueue(
        [Way(queue=here, num_readers=1), Way(queue=away, num_readers=1, loads=loads, place=2)], key_of=None
    )
    fill(queue, 60)
    assert (here.depth(), away.depth()) == (55, 5)
    assert queue.depth() == 110


def test_it_looks_at_a_few_of_many(loads: SharedArray) -> None:
    """However many there are: and still none has much more than another."""

    class Counting(Listed):
        num_looked = 0

        def depth(self) -> int:
            Counting.num_looked += 1
            return super().depth()

    ways = [Counting(str(number)) for number in range(500)]
    queue = SpreadQueue([Way(queue=one, num_readers=2) for one in ways], key_of=None)
    fill(queue, 5000)
    assert Counting.num_looked == 5000 * MOST_LOOKED
    assert {len(one.messages) for one in ways} == {10}
    ways[7].messages *= 3
    fill(queue, 5000)
    assert len(ways[7].messages) == 30
    assert max(len(one.messages) for one in ways[:7]) <= 21


def test_empty_queues_are_used_in_turn(loads: SharedArray) -> None:
    class Drained(Listed):
        def depth(self) -> int:
            return 0

    ways = [Drained("q"), Drained("q, to node 1"), Drained("q, to node 2")]
    fill(SpreadQueue([Way(queue=one, num_readers=1) for one in ways], key_of=None), 30)
    assert [len(one.messages) for one in ways] == [10, 10, 10]


@pytest.mark.parametrize("name", ["number", "text"])
def test_all_of_a_key_go_one_way_from_every_writer(name: str) -> None:
    def key_of(message: Message) -> Any:
        key = message.requests[0].id % 7
        return key if name == "number" else f"sequence {key}"

    used: dict[Any, Counter[int]] = {}
    for _ in range(2):  # two writers
        ways = [Listed("q"), Listed("q, to node 1")]
        fill(SpreadQueue([Way(queue=one, num_readers=2) for one in ways], key_of=key_of), 70)
        for number, way in enumerate(ways):
            for one in way.messages:
                used.setdefault(key_of(one), Counter())[number] += 1
    assert all(len(ways_of_key) == 1 and ways_of_key.total() == 20 for ways_of_key in used.values())
    assert {way for ways_of_key in used.values() for way in ways_of_key} == {0, 1}


def test_nothing_goes_to_a_node_that_is_gone(loads: SharedArray) -> None:
    """Also where those that are looked at first are all there."""
    here, away = Listed("q"), Listed("q, to node 1")
    ways = [Way(queue=here, num_readers=1), Way(queue=away, num_readers=40, loads=loads, place=1)]
    queue = SpreadQueue(ways, key_of=None)
    loads.values[1] = GONE
    fill(queue, 60)
    assert (here.depth(), away.depth(), queue.depth()) == (60, 0, 60)


def test_keys_of_other_nodes_stay_where_they_are(loads: SharedArray) -> None:
    def way_of_each(queues: list[Listed]) -> dict[int, int]:
        return {one.requests[0].id: at for at, queue in enumerate(queues) for one in queue.messages}

    found = []
    for load in (0, GONE):
        loads.values[2] = load
        queues = [Listed(f"q, to node {node}") for node in range(3)]
        ways = [
            Way(queue=queue, num_readers=1, loads=loads, place=place) for place, queue in enumerate(queues)
        ]
        fill(SpreadQueue(ways, key_of=lambda message: message.requests[0].id), 30)
        found.append(way_of_each(queues))
    before, after = found
    assert {key for key, way in before.items() if way != 2} == {
        key for key in before if before[key] == after[key]
    }
    assert set(after.values()) == {0, 1}


def test_closing_closes_all() -> None:
    ways = [Listed("q"), Listed("q, to node 1")]
    SpreadQueue([Way(queue=one, num_readers=1) for one in ways], key_of=None).close()
    assert all(one.is_closed for one in ways)
