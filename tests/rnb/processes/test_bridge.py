"""Two fabrics on one machine, joined by a connection: every message comes through once and right."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from rnb.contract.device import CPU
from rnb.contract.events import DUE, SENT
from rnb.contract.request import Request, TensorSpec
from rnb.contract.termination import Termination
from rnb.pipeline.parts import BridgePlan, Landing
from rnb.processes.bridge import Bridge, BridgeTask, _connected, used_rows
from rnb.processes.jobs import JobRules, follow_incidents
from rnb.transport.clock_sync import fit
from rnb.transport.fabric import FAILED, NOBODY, UNFINISHED, EndOfStream, QueueFull, Stopped
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.message import Message, SlotRef
from rnb.transport.nixl import CARRIERS, NIXL
from rnb.transport.tcp.handshake import accept, connect, listen
from rnb.transport.tcp.link import Link
from tests.support.producers_memory import ProducersPool
from tests.support.underway import CONTEXT
from tests.support.waiting import wait_until

TOKEN = b"t" * 32
BRIDGE = 7
"""What the bridge is called among those that take requests."""
LAYOUT = (TensorSpec((6, 3)), TensorSpec((6,), "int64"))


class Line:
    """A driver that lets everything go on at once, and keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.may_conclude = threading.Event()
        self.may_conclude.set()

    def tell(self, kind: str, value: Any = None) -> None:
        self.told.append((kind, value))

    def wait_for(self, kind: str) -> None:
        if kind == "conclude":
            assert self.may_conclude.wait(30)


class End:
    """One node: a fabric, what its bridge joins, and the thread in which that runs."""

    def __init__(self, node: int, plan: BridgePlan, *, capacity: int, num_slots: int) -> None:
        self.fabric = LocalFabric()
        self.out = self.fabric.queue("frame queue 0", capacity=capacity, num_writers=1)
        self.into = self.fabric.queue("frame queue 0", capacity=capacity, num_writers=1)
        sizes: dict[str, Any] = {"layout": LAYOUT, "num_slots": num_slots, "device": CPU}
        self.landed = self.fabric.pool(**sizes)
        self.source = ProducersPool(**sizes, context=CONTEXT, stop=self.fabric.stop)
        self.jobs = JobRules(
            number=BRIDGE,
            is_replaceable=False,
            has_others=False,
            recycle_after=None,
            incidents=self.fabric.log(),
            retirements=self.fabric.numbers(np.zeros(1, np.int64)),
        )
        for pool in (self.source, self.landed):
            pool.allocate()
        self.table = self.fabric.table(num_requests=500, events=(DUE, SENT))
        self.loads = self.fabric.numbers(np.zeros(2, np.int64))
        self.line, self.node, self.plan = Line(), node, plan
        self.error: BaseException | None = None

    def task(self, carrier: str) -> BridgeTask:
        return BridgeTask(
            line=self.line,  # type: ignore[arg-type]
            stop=self.fabric.stop,
            table=self.table,
            plan=self.plan,
            queues={0: self.out, 1: self.into},
            pools={0: self.source, 1: self.landed},
            loads=self.loads,
            host="127.0.0.1",
            token=TOKEN,
            environment={},
            carrier=carrier,
            poll_s=0,
            jobs=self.jobs,
        )

    def start(self, link: Link, carrier: str) -> None:
        self.link, self.bridge = link, Bridge(self.task(carrier), link)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.bridge.run()
        except BaseException as error:
            self.error = error

    def send(self, number: int) -> None:
        """A message of two requests, with rows that say which they are."""
        slot = self.source.take()
        rows, numbers = self.source.tensors(slot)
        num_rows = (number % 3, 1 + number % 2)
        rows.fill_(number)
        numbers.fill_(-number)
        requests = (Request(number, f"{number}.mp4"), Request(number + 250, parameters={"key": number}))
        self.out.put(Message(SlotRef(0, slot), requests, tuple((count, count) for count in num_rows)))

    def send_all(self, numbers: range) -> None:
        for number in numbers:
            self.send(number)

    def take(self) -> Message:
        message: Message = self.into.take(30)
        return message


HERE = BridgePlan(node=0, peer=1, outgoing={0: 0}, incoming={1: Landing(queue=1, pool=1)}, read_pools=(0,))
THERE = BridgePlan(node=1, peer=0, outgoing={1: 0}, incoming={0: Landing(queue=1, pool=1)}, read_pools=(0,))


def joined(*, capacity: int = 600, num_slots: int = 4, carrier: str = "tcp") -> tuple[End, End]:
    sizes = {"capacity": capacity, "num_slots": num_slots}
    here, there = End(0, HERE, **sizes), End(1, THERE, **sizes)
    with listen("127.0.0.1") as listening:
        links: dict[int, Link] = {}
        accepting = threading.Thread(
            target=lambda: links.update(
                {0: Link(accept(listening, TOKEN, here.fabric.stop)[0], here.fabric.stop)}
            )
        )
        accepting.start()
        links[1] = Link(connect(listening.getsockname(), TOKEN, 1), there.fabric.stop)
        accepting.join()
    here.start(links[0], carrier)
    there.start(links[1], carrier)
    return here, there


def end(*ends: End) -> None:
    for one in ends:
        one.out.close()
    for one in ends:
        one.thread.join(30)
        assert not one.thread.is_alive()
        assert one.error is None


def read(at: End, message: Message, number: int) -> None:
    """Check a message, and let go of its slot."""
    assert [request.id for request in message.requests] == [number, number + 250]
    assert message.requests[0].payload == f"{number}.mp4"
    assert message.requests[1].parameters == {"key": number}
    assert message.slot is not None
    rows, numbers = used_rows(at.landed, message.slot.number, message.rows)
    assert rows.shape == (number % 3 + 1 + number % 2, 3)
    assert (rows == number).all()
    assert (numbers == -number).all()
    at.landed.release(message.slot.number)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_every_message_comes_through_once_and_right_both_ways(carrier: str) -> None:
    if carrier == NIXL:
        pytest.importorskip("nixl", reason="needs NIXL: pip install 'rnb[nixl]'")
    here, there = joined(carrier=carrier)
    senders = [
        threading.Thread(target=one.send_all, args=(range(200),), daemon=True) for one in (here, there)
    ]
    for sender in senders:
        sender.start()
    for number in range(200):
        read(there, there.take(), number)
        read(here, here.take(), number)
    end(here, there)
    for one in (here, there):
        with pytest.raises(EndOfStream):
            one.into.take(5)
        assert {one.source.take() for _ in range(4)} == set(range(4)), "all slots are free again"


def test_messages_without_tensors_need_no_slot() -> None:
    here, there = joined(num_slots=1)
    for number in range(50):
        here.out.put(Message(None, (Request(number),), ((),)))
    assert [there.take().requests[0].id for _ in range(50)] == list(range(50))
    end(here, there)


def test_a_receiver_that_keeps_its_slots_holds_the_sender_back() -> None:
    here, there = joined(num_slots=2)
    sender = threading.Thread(target=here.send_all, args=(range(20),), daemon=True)
    sender.start()
    kept = [there.take(), there.take()]
    with pytest.raises(TimeoutError):
        there.into.take(0.5)
    assert sender.is_alive(), "both slots here wait for slots there"
    # One in the queue, one with the bridge: nothing is held anywhere else.
    assert here.out.depth() <= 1
    assert here.loads.values[0] <= 2
    for number, message in enumerate(kept):
        read(there, message, number)
    for number in range(2, 20):
        read(there, there.take(), number)
    sender.join(30)
    end(here, there)


def test_what_a_bridge_has_taken_is_its_own() -> None:
    """Not its producer's any more; but slots that went with that are lost, and told so."""
    here, there = joined(num_slots=1)
    here.send(1)
    first = there.take()  # and the one slot there is not given back
    here.send(2)
    wait_until(lambda: here.table.holders[2] == BRIDGE)
    assert here.table.holders[[1, 251, 2, 252, 3]].tolist() == [BRIDGE] * 4 + [NOBODY]
    here.source.reclaim()  # its producer has died, and another one comes
    assert here.source._holders.tolist() == [-2 - BRIDGE]
    read(there, first, 1)
    wait_until(lambda: not here.source._holders.any())
    assert here.jobs.incidents is not None
    lost = [(one.request_id, one.replica, one.is_lost) for one in follow_incidents(here.jobs.incidents)]
    assert lost == [(2, BRIDGE, True), (252, BRIDGE, True)]
    here.source._held.clear()  # which is another process's
    here.source.allocate()
    here.send(3)
    read(there, there.take(), 3)
    end(here, there)


def test_how_many_wait_there_is_known_here() -> None:
    here, there = joined()
    for number in range(30):
        here.out.put(Message(None, (Request(number),), ((),)))
    wait_until(lambda: here.loads.values[0] == 30)
    for _ in range(30):
        there.take()
    wait_until(lambda: here.loads.values[0] == 0)
    end(here, there)


def test_who_joins_segments_hears_what_has_failed() -> None:
    here, there = joined()
    here.table.fail(3, "cannot be decoded")
    end(here, there)
    assert there.table.has_failed(3)
    assert there.table.outcomes["status"][4] == UNFINISHED
    assert there.table.count(FAILED) == 1


def test_the_clock_of_the_other_node_is_asked_at_both_ends() -> None:
    here, there = joined()
    here.line.may_conclude.clear()
    for one in (here, there):
        one.out.close()
    time.sleep(0.2)
    assert here.thread.is_alive()
    assert there.thread.is_alive()
    here.line.may_conclude.set()
    end_quietly(here, there)
    bursts = [value for kind, value in here.line.told if kind == "clock"]
    assert len(bursts) == 2
    fitted = fit([one for burst in bursts for one in burst])
    assert abs(fitted.offset_ns) <= fitted.bound_ns, "it is the same clock"
    assert not [kind for kind, _ in there.line.told if kind == "clock"]


def end_quietly(*ends: End) -> None:
    for one in ends:
        one.thread.join(30)
        assert one.error is None


def test_a_full_queue_there_ends_the_run_as_one_here() -> None:
    here, there = joined(capacity=5)
    for number in range(5):
        here.out.put(Message(None, (Request(number),), ((),)))
    wait_until(lambda: there.into.depth() == 5)
    here.out.put(Message(None, (Request(6),), ((),)))
    there.thread.join(30)
    assert isinstance(there.error, QueueFull)
    for one in (here, there):
        one.fabric.stop.raise_flag(Termination.FRAME_QUEUE_FULL)
        one.thread.join(30)


def test_a_cut_connection_ends_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnb.transport.tcp.connection.GRACE_S", 0.1)
    here, there = joined()
    here.send(0)
    read(there, there.take(), 0)
    here.link._socket.shutdown(2)
    for one, peer in ((here, 1), (there, 0)):
        one.thread.join(30)
        assert isinstance(one.error, ConnectionError)
        assert f"the connection to node {peer} was cut" in str(one.error)


def test_nobody_to_connect_to_is_no_failure_where_the_run_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other node may hear of the end first."""
    task = End(1, THERE, capacity=1, num_slots=1).task("tcp")
    with listen("127.0.0.1") as listening:
        address = listening.getsockname()
    threading.Timer(0.2, task.stop.raise_flag, [Termination.INTERRUPTED]).start()
    with pytest.raises(Stopped):
        _connected(task, None, address)
    monkeypatch.setattr("rnb.transport.tcp.connection.GRACE_S", 0.1)
    with pytest.raises(ConnectionError, match="cannot reach node 0 at"):
        _connected(End(1, THERE, capacity=1, num_slots=1).task("tcp"), None, address)


def test_the_runs_end_lets_go_of_all() -> None:
    here, there = joined(num_slots=1)
    here.send(0)
    there.take()  # and it keeps the slot
    here.send(1)
    for one in (here, there):
        one.fabric.stop.raise_flag(Termination.INTERRUPTED)
        one.thread.join(30)
        assert not one.thread.is_alive()
