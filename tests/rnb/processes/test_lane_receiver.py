"""What writers send over lanes arrives once, in order and whole; both ends notice when the other is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rnb.contract.events import DUE, SENT
from rnb.contract.request import Request
from rnb.contract.termination import Termination
from rnb.processes.lane_receiver import LaneReceiver
from rnb.transport.fabric import EndOfStream, QueueFull, Stopped
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.message import Message
from rnb.transport.tcp import connection
from rnb.transport.tcp.address_book import AddressBook
from rnb.transport.tcp.handshake import listen
from rnb.transport.tcp.lane import Lane
from tests.support.waiting import wait_until

TOKEN = b"t" * 32
QUEUE = 2


class Receiving:
    """The node that has the queue."""

    def __init__(self, *, num_writers: int, capacity: int = 1000, poll_s: float = 0) -> None:
        self.fabric = LocalFabric()
        self.queue = self.fabric.queue("frame queue 2", capacity=capacity, num_writers=num_writers)
        self.table = self.fabric.table(num_requests=50, events=(DUE, SENT))
        self.listening = listen("127.0.0.1")
        self.book = AddressBook([1], self.fabric.numbers)
        self.book.write({1: self.listening.getsockname()})
        self.receiver = LaneReceiver(
            {QUEUE: num_writers},
            {QUEUE: self.queue},
            listening=self.listening,
            token=TOKEN,
            stop=self.fabric.stop,
            table=self.table,
            poll_s=poll_s,
        )
        self.errors: list[BaseException] = []
        self.writers: list[Lane] = []
        self.accepting = self._start(self.receiver.accept_all)
        self.thread = self._start(self.receiver.receive_all)

    def _start(self, target: Any) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(target,), daemon=True)
        thread.start()
        return thread

    def _guarded(self, target: Any) -> None:
        try:
            target()
        except Stopped:
            pass
        except BaseException as error:
            self.errors.append(error)

    def lane(self) -> Lane:
        """Of another writer, which is connected."""
        fabric = LocalFabric()
        table = fabric.table(num_requests=50, events=(DUE, SENT))
        lane = Lane(
            self.queue.name,
            queue=QUEUE,
            node=1,
            addresses=self.book,
            token=TOKEN,
            stop=fabric.stop,
            table=table,
        )
        lane.__setstate__({})
        lane.connect()
        self.writers.append(lane)
        return lane

    def stop(self) -> None:
        """Its threads, not its connections."""
        self.fabric.stop.raise_flag(Termination.INTERRUPTED)
        for thread in (self.accepting, self.thread):
            thread.join(30)
            assert not thread.is_alive()

    def end(self) -> None:
        self.stop()
        self.listening.close()
        for lane in self.writers:
            lane._socket.close()
        for end in self.receiver._ends.values():
            end.close()


@pytest.fixture(params=[0, 0.02], ids=["sleeping", "looking often"])
def pair(request: pytest.FixtureRequest) -> Iterator[Receiving]:
    receiving = Receiving(num_writers=2, poll_s=request.param)
    yield receiving
    receiving.end()


def message(number: int, payload: Any = None) -> Message:
    return Message(None, (Request(number, payload),), ((),))


def test_messages_of_two_writers_come_whole_and_in_order(pair: Receiving) -> None:
    lanes = [pair.lane(), pair.lane()]
    # All of it has room in the queue, however slow its reader is.
    payloads = [b"", b"x" * 300_000, "é.mp4"]  # one that no single read has

    def write(number: int) -> None:
        for count in range(75):
            lanes[number].put(message(number, (count, payloads[count % 3])))
        lanes[number].close()

    threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    next_count = [0, 0]
    for _ in range(150):
        (request,) = pair.queue.take(30).requests
        assert request.payload == (next_count[request.id], payloads[next_count[request.id] % 3])
        next_count[request.id] += 1
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    with pytest.raises(EndOfStream):
        pair.queue.take(30)
    assert not pair.errors


def test_the_queue_ends_with_its_last_writer_who_tells_what_has_failed(pair: Receiving) -> None:
    first, second = pair.lane(), pair.lane()
    first.close()
    with pytest.raises(TimeoutError):
        pair.queue.take(0.3)
    second._table.fail(7, "cannot be decoded")
    second.close()
    with pytest.raises(EndOfStream):
        pair.queue.take(30)
    assert pair.table.has_failed(7)
    assert not pair.table.has_failed(6)


def test_a_writer_knows_how_many_wait_there(pair: Receiving) -> None:
    lane = pair.lane()
    for number in range(10):
        lane.put(message(number))
    assert lane.depth() == 10
    pair.queue.put(message(11))  # somebody else's
    wait_until(lambda: lane.depth() == 11)
    for _ in range(11):
        pair.queue.take(30)
    wait_until(lambda: lane.depth() == 0)


def test_another_process_may_take_the_place_of_a_writer_that_died(pair: Receiving) -> None:
    first, other = pair.lane(), pair.lane()
    first.put(message(0))
    assert pair.queue.take(30).requests[0].id == 0
    first._socket.close()
    heir = pair.lane()
    heir.put(message(1))
    assert pair.queue.take(30).requests[0].id == 1
    heir.close()
    other.close()
    pair.thread.join(30)
    assert not pair.thread.is_alive()
    assert not pair.errors


def test_who_writes_when_the_other_node_is_gone_says_which(
    pair: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "GRACE_S", 0.1)
    lane = pair.lane()
    lane.put(message(0))
    pair.queue.take(30)
    for end in list(pair.receiver._ends.values()):
        end._socket.shutdown(2)
    with pytest.raises(ConnectionError, match="the connection to node 1 was cut: "):
        lane.close()


def test_who_hears_nothing_for_long_takes_the_other_node_to_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "GRACE_S", 0.1)
    monkeypatch.setattr(connection, "SILENCE_S", 0.5)
    monkeypatch.setattr("rnb.transport.tcp.lane.BEAT_S", 0.1)
    receiving = Receiving(num_writers=1)
    lane = receiving.lane()
    wait_until(lambda: receiving.receiver._ends)
    receiving.stop()
    with pytest.raises(ConnectionError, match=r"the connection to node 1 was cut: not a word for 0\.5 s"):
        lane.close()
    receiving.end()


def test_a_lane_to_a_queue_that_is_none_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "GRACE_S", 0.1)
    receiving = Receiving(num_writers=1)
    lane = receiving.lane()
    lane._socket.close()
    lane._queue = QUEUE + 1
    lane.connect()
    with pytest.raises(ConnectionError):
        lane.close()
    receiving.end()


def test_no_other_end_is_no_failure_where_the_run_has_ended() -> None:
    receiving = Receiving(num_writers=1)
    lane = receiving.lane()
    wait_until(lambda: receiving.receiver._ends)
    receiving.end()
    threading.Timer(0.2, lane._stop.raise_flag, [Termination.INTERRUPTED]).start()
    with pytest.raises(Stopped):
        lane.connect()


def test_what_comes_back_is_put_into_a_full_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    receiving = Receiving(num_writers=1, capacity=2)
    lane = receiving.lane()
    for number in range(2):
        lane.put(message(number))
    lane.put_back(message(2))
    assert [receiving.queue.take(30).requests[0].id for _ in range(3)] == [0, 1, 2]
    assert not receiving.errors
    receiving.end()


def test_a_full_queue_there_ends_the_run_there() -> None:
    receiving = Receiving(num_writers=1, capacity=3)
    lane = receiving.lane()
    for number in range(4):
        lane.put(message(number))
    receiving.thread.join(30)
    (error,) = receiving.errors
    assert isinstance(error, QueueFull)
    assert str(error) == "frame queue 2"
    receiving.end()


def test_who_waits_for_the_other_end_is_let_go_when_the_run_ends() -> None:
    receiving = Receiving(num_writers=1)
    lane = receiving.lane()
    lane._stop.raise_flag(Termination.INTERRUPTED)
    wait_until(lambda: receiving.receiver._ends)
    receiving.stop()
    with pytest.raises(Stopped):
        lane.close()
    receiving.end()
