"""What would only wait on a node is kept until one of them has little left to do."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.transport import backlog
from rnb.transport.backlog import LEAST_AHEAD, BacklogQueue
from rnb.transport.fabric import QueueFull, Stopped
from rnb.transport.local.shared_memory import SharedArray
from rnb.transport.local.stop import StopFlag
from rnb.transport.message import Message
from rnb.transport.spread_queue import GONE, Way
from tests.support.waiting import wait_until

AHEAD = int(LEAST_AHEAD)


class Node:
    """Takes messages in the order of their ids."""

    def __init__(self, *, capacity: int = 1000) -> None:
        self.name, self.capacity = "filename queue", capacity
        self.came: list[int] = []
        self.num_taken = 0
        self.is_closed = self.is_cut = False

    def put(self, message: Message) -> None:
        if self.is_cut:
            raise ConnectionError("the connection to node 1 was cut")
        if self.depth() >= self.capacity:
            raise QueueFull(self.name)
        self.came.append(message.requests[0].id)

    put_back = put

    def depth(self) -> int:
        return len(self.came) - self.num_taken

    def take(self, count: int) -> None:
        self.num_taken += count

    def close(self) -> None:
        self.is_closed = True


def queue_of(
    *nodes: Node, readers: int = 1, capacity: int = 1000, stop: StopFlag | None = None
) -> BacklogQueue:
    ways = [Way(queue=node, num_readers=readers) for node in nodes]
    return BacklogQueue(ways, capacity=capacity, stop=stop or StopFlag())


def fill(queue: BacklogQueue, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        queue.put(Message(None, (Request(number),), ((),)))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast it goes, no reader seems to take many."""
    monkeypatch.setattr(backlog, "AHEAD_S", 0.0)


def test_nothing_is_kept_while_the_readers_keep_up() -> None:
    here, away = Node(), Node()
    queue, num_threads = queue_of(here, away), threading.active_count()
    for number in range(100):
        fill(queue, 1, number)
        for node in (here, away):
            node.take(node.depth())
    assert (len(here.came), len(away.came)) == (50, 50)
    assert threading.active_count() == num_threads


def test_what_would_wait_goes_where_less_is_left_to_do(slow: None) -> None:
    here, away = Node(), Node()
    queue = queue_of(here, away)
    fill(queue, 40)
    assert here.depth() == away.depth() == AHEAD
    assert queue.depth() == 40
    for _ in range(9):
        away.take(AHEAD)
        wait_until(lambda: away.depth() == AHEAD)
    assert len(here.came) == AHEAD
    here.take(AHEAD)
    wait_until(lambda: here.depth() == AHEAD)
    assert sorted([*here.came, *away.came]) == list(range(12 * AHEAD))
    assert away.came == sorted(away.came), "the oldest first"


def test_readers_that_take_many_are_given_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as they take in AHEAD_S, and again fewer than that only as they come to an end."""
    monkeypatch.setattr(backlog, "AHEAD_S", 0.5)
    node, other = Node(capacity=10**6), Node(capacity=10**6)
    queue = queue_of(node, other, capacity=10**6)
    fill(queue, 100_000)

    def is_ahead() -> bool:
        for one in (node, other):
            one.take(one.depth())
        return queue._ahead > 20 * LEAST_AHEAD

    wait_until(is_ahead)
    wait_until(lambda: min(node.depth(), other.depth()) > 10 * LEAST_AHEAD)


def test_beyond_what_a_queue_holds_all_goes_on_and_a_full_one_is_told(slow: None) -> None:
    here, away = Node(capacity=5), Node(capacity=5)
    queue = queue_of(here, away, capacity=7)
    fill(queue, 17)
    assert here.depth() == away.depth() == 5
    with pytest.raises(QueueFull, match="filename queue"):
        fill(queue, 1, 17)
    assert sorted([*here.came, *away.came]) == list(range(10))
    with drained(here, away):
        queue.close()
    assert sorted([*here.came, *away.came]) == list(range(17)), "what was refused does not come later"


def test_a_queue_that_holds_less_than_it_could_be_given_is_no_failure(slow: None) -> None:
    here, away = Node(capacity=1), Node(capacity=1)
    queue = queue_of(here, away)
    fill(queue, 20)
    for _ in range(9):
        for node in (here, away):
            node.take(1)
        wait_until(lambda: here.depth() == away.depth() == 1)
    assert queue.depth() == 2


def test_nothing_goes_to_a_node_that_is_gone() -> None:
    here, away = Node(), Node()
    loads = SharedArray(np.array([GONE]))
    ways = [Way(queue=here, num_readers=1), Way(queue=away, num_readers=1, loads=loads)]
    queue = BacklogQueue(ways, capacity=1000, stop=StopFlag())
    fill(queue, 30)
    with drained(here):
        queue.close()
    assert (len(here.came), len(away.came)) == (30, 0)


@contextmanager
def drained(*nodes: Node) -> Iterator[None]:
    """While somebody takes from them."""
    is_over = threading.Event()

    def take_all() -> None:
        while not is_over.is_set():
            for node in nodes:
                node.take(node.depth())
            time.sleep(0.001)

    taker = threading.Thread(target=take_all)
    taker.start()
    try:
        yield
    finally:
        is_over.set()
        taker.join()


def test_closing_waits_until_nothing_is_kept() -> None:
    here, away = Node(), Node()
    queue = queue_of(here, away)
    fill(queue, 300)
    assert not here.is_closed
    with drained(here, away):
        queue.close()
    assert here.is_closed
    assert away.is_closed
    assert sorted([*here.came, *away.came]) == list(range(300))


def test_a_run_that_ends_ends_the_waiting() -> None:
    stop = StopFlag()
    queue = queue_of(Node(), Node(), stop=stop)
    fill(queue, 30)
    threading.Timer(0.05, lambda: stop.raise_flag(Termination.INTERRUPTED)).start()
    with pytest.raises(Stopped):
        queue.close()
    assert queue._mover is not None
    queue._mover.join(60)
    assert not queue._mover.is_alive()


def test_a_connection_that_is_cut_meanwhile_is_told_to_who_puts() -> None:
    here, away = Node(), Node()
    queue = queue_of(here, away)
    fill(queue, 30)
    away.is_cut = True
    away.take(AHEAD)
    with pytest.raises(ConnectionError, match="was cut"):
        queue.close()
    with pytest.raises(ConnectionError, match="was cut"):
        fill(queue, 1)


def test_a_process_gets_one_that_keeps_nothing() -> None:
    queue: BacklogQueue = pickle.loads(pickle.dumps(queue_of(Node(), Node())))
    fill(queue, 10)
    assert queue.depth() == 10
