"""A bridge process: this node's end of the connection to another node of the run.

    queue, slots of a replica -> sender ──── MESSAGE ───▶ receiver -> a slot that was granted, queue
             a free slot there, by number ◀── GRANT ───── granter

A message with tensors is sent when the other end has granted a slot for it; until then it waits in its queue
and its slot here, so nothing is held in between. Where its queue there is full, that ends the run, as on one
machine. The end of the stream crosses as CLOSE. What needs no slot comes over the lanes of its writers
(`rnb/processes/lane_receiver.py`), but where those may be replaced: what a bridge has taken is no more in the
name of who made it, and so lives on. Where a bridge may be replaced itself, so is the one at the other end
(`rnb/processes/parting.py`).

The bridge of the driver's node asks the other one for the time: in bursts, at the start, now and then, and at
the end.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from rnb.contract.termination import Termination
from rnb.load.source import Numbers
from rnb.pipeline.parts import BridgePlan
from rnb.processes.child import run_child
from rnb.processes.jobs import LOST, Claims, JobRules
from rnb.processes.lane_receiver import LaneReceiver
from rnb.processes.whereabouts import arrive, moves_of
from rnb.transport.clock import now_ns, sleep_precisely
from rnb.transport.clock_sync import Exchange, fastest
from rnb.transport.fabric import (
    FAILED,
    POLL_S,
    ControlLine,
    EndOfStream,
    Pool,
    Queue,
    SlotsLost,
    Stop,
    Stopped,
    Table,
)
from rnb.transport.message import Message, SlotRef
from rnb.transport.nixl import NIXL, Nixl, slots_of
from rnb.transport.tcp.connection import BEAT_S, Cut, wait_for_the_reason
from rnb.transport.tcp.handshake import accept, listen, reach
from rnb.transport.tcp.link import Head, Kind, Link

if TYPE_CHECKING:
    import torch

BURST = 40
"""Exchanges at once: the fastest of so many has met no other work."""
BURST_INTERVAL_S = 10.0
ANSWER_TIMEOUT_S = 2.0
LOAD_INTERVAL_S = 0.005
_TIMES = struct.Struct("<qq")


@dataclass(frozen=True, kw_only=True)
class BridgeTask:
    """All that a bridge process is told; queues and pools by their places in the plan of this node."""

    line: ControlLine
    stop: Stop
    table: Table
    plan: BridgePlan
    queues: Mapping[int, Queue]
    pools: Mapping[int, Pool]
    loads: Numbers
    """By outgoing queue, how many messages wait at the other end: told here, to the writers of this node."""
    host: str
    """The address of this node."""
    token: bytes
    environment: Mapping[str, str]
    carrier: str
    """What brings the rows of slots: one of CARRIERS."""
    poll_s: float
    """How long a sender without a message, or a receiver, looks often; see Queue.take."""
    jobs: JobRules | None = None
    """None: a replica that dies ends the run."""


def run_bridge(task: BridgeTask) -> None:
    """The main function of a bridge process."""
    run_child(
        task.line,
        lambda: _run(task),
        full=Termination.FRAME_QUEUE_FULL,
        environment=task.environment,
        is_replaceable=task.jobs is not None and task.jobs.is_replaceable,
    )


def _run(task: BridgeTask) -> None:
    plan, line = task.plan, task.line
    listening = listen(task.host) if plan.listens else None
    for pool in plan.landing_pools:
        task.pools[pool].allocate()
    line.tell("prepared", listening.getsockname()[1] if listening else 0)
    handles = line.wait_for("handles")
    for pool in plan.read_pools:
        task.pools[pool].attach(handles[pool])
    addresses = line.wait_for("addresses")
    link = Link(_connected(task, listening, addresses[plan.peer]), task.stop, poll_s=task.poll_s)
    Bridge(task, link, _lane_receiver(task, listening)).run()


def _connected(task: BridgeTask, listening: socket.socket | None, address: tuple[str, int]) -> socket.socket:
    if task.plan.connects:
        return reach(task.plan.peer, address, task.token, task.plan.node, task.stop)
    assert listening is not None
    while True:
        connected, name = accept(listening, task.token, task.stop)
        if name == task.plan.peer:
            return connected
        connected.close()


def _lane_receiver(task: BridgeTask, listening: socket.socket | None) -> LaneReceiver | None:
    if not task.plan.lanes or listening is None:
        return None
    return LaneReceiver(
        task.plan.lanes,
        task.queues,
        listening=listening,
        token=task.token,
        stop=task.stop,
        table=task.table,
        poll_s=task.poll_s,
    )


class Bridge:
    """Over one connection."""

    def __init__(self, task: BridgeTask, link: Link, lanes: LaneReceiver | None = None) -> None:
        self._task, self._plan, self._link, self._lanes = task, task.plan, link, lanes
        self._news: SimpleQueue[BaseException | None] = SimpleQueue()
        """None: a channel is closed, or the other end says goodbye."""
        self._pongs: SimpleQueue[Exchange] = SimpleQueue()
        self._grants: dict[int, SimpleQueue[int]] = {
            channel: SimpleQueue() for channel in self._plan.outgoing
        }
        self._num_sent, self._num_taken, self._num_received = Counter[int](), Counter[int](), Counter[int]()
        self._num_open = len(self._plan.outgoing) + len(self._plan.incoming) + (lanes is not None)
        self._nixl = Nixl(f"node {task.plan.node}", task.stop) if task.carrier == NIXL else None
        self._measuring = threading.Lock()
        self._is_concluding, self._is_parting = threading.Event(), threading.Event()

    def run(self) -> None:
        """Until nothing more comes either way."""
        self._start(self._receive_all)
        self._start(self._beat)
        if self._nixl is not None:
            self._share(self._nixl)
        for channel, landing in self._plan.incoming.items():
            if landing.pool is not None:
                self._start(self._grant_all, channel, self._task.pools[landing.pool])
        if self._lanes is not None:
            self._start(self._lanes.accept_all)
            self._start(self._receive_lanes, self._lanes)
        if self._plan.measures_clock:
            self._measure()
        self._task.line.tell("ready")
        self._task.line.wait_for("start")
        for channel, queue in self._plan.outgoing.items():
            self._start(self._send_all, channel, queue)
        if self._plan.incoming:
            self._start(self._tell_loads)
        if self._plan.measures_clock:
            self._start(self._measure_often)
        for _ in range(self._num_open):
            self._wait()
        self._part()

    def _share(self, nixl: Nixl) -> None:
        """Tell the other end where the slots here are, and hear where those there are."""
        pools = self._task.pools
        for number in self._plan.read_pools:
            if not pools[number].device.is_gpu:
                nixl.register(itertools.chain(*slots_of(pools[number])))
        incoming = self._plan.incoming.items()
        offered = nixl.offer({channel: pools[one.pool] for channel, one in incoming if one.pool is not None})
        self._link.send(Kind.MEMORY, meta=offered)
        self._wait()

    def _part(self) -> None:
        """Say goodbye when all is done; the clock is read once more when all is done on every node."""
        if self._plan.measures_clock:
            self._task.line.wait_for("conclude")
            self._is_concluding.set()
            self._measure()
        if not self._plan.connects:
            self._is_parting.set()
            self._link.send(Kind.BYE)
        else:
            self._wait()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=self._guarded, args=(target, *args), daemon=True).start()

    def _guarded(self, target: Callable[..., None], *args: Any) -> None:
        try:
            target(*args)
        except Stopped:
            pass
        except BaseException as error:
            self._news.put(error)

    def _wait(self) -> None:
        """For the next thing that the other threads have to say."""
        while True:
            self._task.stop.check()
            with contextlib.suppress(Empty):
                news = self._news.get(timeout=POLL_S)
                if isinstance(news, Cut):
                    wait_for_the_reason(self._task.stop)
                    raise ConnectionError(f"the connection to node {self._plan.peer} was cut: {news}")
                if news is not None:
                    raise news
                return

    # ---------------------------------------------------------------- to the other node

    def _send_all(self, channel: int, queue: int) -> None:
        source, jobs = self._task.queues[queue].of_reader(0), self._task.jobs
        claim = Claims(jobs.number, self._task.table, self._task.pools).take_away if jobs else None
        staging = Staging(lambda buffer: self._nixl.register([buffer]) if self._nixl else None)
        while True:
            self._task.stop.check()
            try:
                message = source.take(POLL_S, poll_s=self._task.poll_s, claim=claim)
            except TimeoutError:
                continue
            except EndOfStream:
                break
            self._num_sent[channel] += 1
            self._note_load(channel)
            self._send(channel, message, staging)
        self._link.send(Kind.CLOSE, channel, meta=self._failed())
        self._news.put(None)

    def _send(self, channel: int, message: Message, staging: Staging) -> None:
        moves = moves_of(self._task.table, message.requests) if self._task.jobs else ()
        meta = pickle.dumps((message.requests, message.rows, moves), pickle.HIGHEST_PROTOCOL)
        if message.slot is None:
            self._link.send(Kind.MESSAGE, channel, -1, meta)
            return
        granted = self._granted(channel)
        pool = self._task.pools[message.slot.pool]
        try:
            used = used_rows(pool, message.slot.number, message.rows)
        except SlotsLost:
            self._lose(message)
            pool.release(message.slot.number)
            self._grants[channel].put(granted)
            return
        buffers = [staging.bytes_of(number, rows) for number, rows in enumerate(used)]
        if self._nixl is not None:
            self._nixl.write(channel, granted, buffers)
            buffers = []
        self._link.send(Kind.MESSAGE, channel, granted, meta, buffers)
        pool.release(message.slot.number)

    def _lose(self, message: Message) -> None:
        assert self._task.jobs is not None  # else its producer's death has ended the run
        for request in message.requests:
            self._task.jobs.sink(self._task.table).lose(request.id, LOST)

    def _granted(self, channel: int) -> int:
        """Wait for a slot of the other end."""
        while True:
            self._task.stop.check()
            with contextlib.suppress(Empty):
                return self._grants[channel].get(timeout=POLL_S)

    def _failed(self) -> bytes:
        """Which requests are known here to get no result: who joins segments must not wait for them."""
        return np.flatnonzero(self._task.table.outcomes["status"] == FAILED).astype("<i8").tobytes()

    # ---------------------------------------------------------------- from the other node

    def _receive_all(self) -> None:
        if self._task.poll_s:
            sleep_precisely()
        while True:
            try:
                head = self._link.receive_head()
            except Cut:
                if self._is_parting.is_set():
                    return
                raise
            if head.kind is Kind.BYE:
                self._news.put(None)
                return
            self._receive(head)

    def _receive(self, head: Head) -> None:
        received_ns = now_ns()
        if head.kind is Kind.MESSAGE:
            self._receive_message(head)
        elif head.kind is Kind.BEAT:
            pass
        elif head.kind is Kind.MEMORY:
            assert self._nixl is not None
            self._nixl.join(self._link.receive(head.num_meta_bytes))
            self._news.put(None)
        elif head.kind is Kind.GRANT:
            self._grants[head.channel].put(head.number)
        elif head.kind is Kind.LOAD:
            self._num_taken[head.channel] = head.number
            self._note_load(head.channel)
        elif head.kind is Kind.CLOSE:
            failed = np.frombuffer(self._link.receive(head.num_meta_bytes), "<i8")
            self._task.table.outcomes["status"][failed] = FAILED
            self._task.queues[self._plan.incoming[head.channel].queue].close()
            self._news.put(None)
        elif head.kind is Kind.PING:
            sent_ns, _ = _TIMES.unpack(self._link.receive(head.num_meta_bytes))
            self._link.send(Kind.PONG, meta=_TIMES.pack(sent_ns, received_ns))
        else:
            sent_ns, there_ns = _TIMES.unpack(self._link.receive(head.num_meta_bytes))
            self._pongs.put(Exchange(sent_ns, there_ns, received_ns))

    def _receive_message(self, head: Head) -> None:
        landing = self._plan.incoming[head.channel]
        requests, rows, moves = pickle.loads(self._link.receive(head.num_meta_bytes))
        slot = None
        if landing.pool is not None and head.number >= 0:
            slot = SlotRef(landing.pool, head.number)
            for tensor in used_rows(self._task.pools[landing.pool], head.number, rows):
                if self._nixl is None:  # else they are there
                    self._link.receive_into(as_bytes(tensor))
        if self._task.jobs is not None:
            arrive(self._task.table, requests, moves, self._task.jobs.number)
        self._num_received[head.channel] += 1
        self._task.queues[landing.queue].put(Message(slot, requests, rows))

    def _receive_lanes(self, lanes: LaneReceiver) -> None:
        lanes.receive_all()
        self._news.put(None)

    def _note_load(self, channel: int) -> None:
        waiting = self._num_sent[channel] - self._num_taken[channel]
        self._task.loads.values[self._plan.outgoing[channel]] = waiting

    def _grant_all(self, channel: int, pool: Pool) -> None:
        while True:
            self._link.send(Kind.GRANT, channel, pool.take())

    def _beat(self) -> None:
        """An end that is silent is taken to be gone."""
        while not self._is_parting.wait(BEAT_S):
            self._link.send(Kind.BEAT)

    def _tell_loads(self) -> None:
        told: dict[int, int] = {}
        while not self._is_parting.wait(LOAD_INTERVAL_S):
            for channel, landing in self._plan.incoming.items():
                taken = self._num_received[channel] - self._task.queues[landing.queue].depth()
                if told.get(channel) != taken:
                    self._link.send(Kind.LOAD, channel, taken)
                    told[channel] = taken

    # ---------------------------------------------------------------- the clock

    def _measure_often(self) -> None:
        while not self._is_concluding.wait(BURST_INTERVAL_S):
            self._measure()

    def _measure(self) -> None:
        """Tell the driver of one burst of exchanges."""
        with self._measuring:
            self._task.line.tell("clock", fastest(self._burst()))

    def _burst(self) -> Sequence[Exchange]:
        exchanges = []
        for _ in range(BURST):
            self._task.stop.check()
            self._link.send(Kind.PING, meta=_TIMES.pack(now_ns(), 0))
            with contextlib.suppress(Empty):
                exchanges.append(self._pongs.get(timeout=ANSWER_TIMEOUT_S))
        return exchanges


class Staging:
    """Page-locked memory that rows on a GPU pass through."""

    def __init__(self, made: Callable[[torch.Tensor], None]) -> None:
        """`made`: is told of each buffer before its first use."""
        self._made = made
        self._buffers: dict[int, torch.Tensor] = {}

    def bytes_of(self, number: int, rows: torch.Tensor) -> memoryview:
        """Those of the rows of a message's n-th tensor; good until the next message."""
        if rows.device.type == "cpu":
            return as_bytes(rows)
        import torch

        buffer = self._buffers.get(number)
        if buffer is None or len(buffer) < len(rows):
            buffer = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
            self._buffers[number] = buffer
            self._made(buffer)
        return as_bytes(buffer[: len(rows)].copy_(rows))  # waits for the copy


def used_rows(pool: Pool, slot: int, rows: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    """Of each tensor of a slot, the rows that its requests have."""
    counts = [sum(each) for each in zip(*rows, strict=True)]
    return [tensor[:count] for tensor, count in zip(pool.tensors(slot), counts, strict=True)]


def as_bytes(tensor: torch.Tensor) -> memoryview:
    """The memory of a tensor on the CPU itself."""
    import torch

    flat = tensor.reshape(-1)
    return flat.view(torch.uint8).numpy().data if len(flat) else memoryview(b"")
