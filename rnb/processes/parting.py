"""What a node does where its connection to another one is lost, or that node: it parts, and joins anew.

To part is to end the bridge here, if it still lives, and to set right what it had under way: what it had
taken and not sent is lost, slots that were granted come back, what has arrived whole stays. Then another
bridge is started, and the driver is told where it listens, and what is known here of all requests
(rnb/processes/whereabouts.py). The driver says when to join, or that the run goes on without that node
(rnb/processes/rejoining.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from rnb.contract.termination import Termination
from rnb.pipeline.parts import BridgePlan, Part
from rnb.processes.bridges import Bridges
from rnb.processes.node_jobs import NodeJobs
from rnb.processes.replacement import DONE
from rnb.processes.replicas import Replicas
from rnb.processes.supervisor import Child, Supervisor, send
from rnb.processes.whereabouts import Whereabouts, leave, miss, whereabouts
from rnb.transport.fabric import Fabric, Table
from rnb.transport.message import Message
from rnb.transport.spread_queue import GONE
from rnb.transport.tcp.address_book import Address


class PartFrom(NamedTuple):
    """The driver's word: start anew with a node."""

    peer: int
    number: int
    """The answer has it."""


class JoinTo(NamedTuple):
    """The driver's word: the other bridge is there."""

    peer: int
    address: Address


class HoldMore(NamedTuple):
    """The driver's word: a full queue is no reason to end the run any more."""


class DoWithout(NamedTuple):
    """The driver's word: nobody comes in the place of that node."""

    peer: int


class Parted(NamedTuple):
    """The answer to a PartFrom."""

    peer: int
    number: int
    port: int
    """Where the bridge here listens; 0: it does not."""
    known: Whereabouts


class BridgeDied(NamedTuple):
    """What a node tells by itself."""

    peer: int
    name: str
    how: str
    number: int
    """Of the PartFrom that it was started for; 0: it was the first one."""


Order = PartFrom | JoinTo | HoldMore | DoWithout
News = Parted | BridgeDied


class Parting:
    """Of one node; it is made before its processes."""

    def __init__(
        self,
        *,
        part: Part,
        bridges: Bridges,
        supervisor: Supervisor,
        fabric: Fabric,
        table: Table,
        replicas: Replicas,
        jobs: NodeJobs,
        tell: Callable[[News], None],
    ) -> None:
        """`tell`: is told the news for the driver."""
        self._bridges, self._supervisor, self._stop, self._tell = bridges, supervisor, fabric.stop, tell
        self._table, self._replicas = table, replicas
        self._queues, self._pools, self._loads = replicas.queues, replicas.pools, replicas.loads
        self._jobs, self._replaces = jobs, part.plan.replaces_nodes
        self._plans = {plan.peer: plan for plan in part.bridges}
        self._numbers = {plan.peer: jobs.num_replicas + one for one, plan in enumerate(part.bridges)}
        self._peers = [plan.peer for plan in part.bridges]
        self._new: dict[int, Child] = {}
        """By the other node, bridges that have not told where they listen."""
        self._joining: dict[int, Child] = {}
        self._started_for: dict[int, int] = {}
        """By the other node, the number of its last PartFrom."""
        self._gone: set[int] = set()

    def begin(self) -> None:
        """The timed part begins: from now on the run goes on without a bridge."""
        if self._replaces:
            for peer, plan in self._plans.items():
                self._jobs.replacement.log.note("started", plan.name, self._bridges.pid(peer))
            self._supervisor.take_overs.append(self._take_over)

    def follow(self, order: Order) -> None:
        """Do what the driver says."""
        if isinstance(order, PartFrom):
            self._part_from(order)
        elif isinstance(order, JoinTo):
            self._join_to(order)
        elif isinstance(order, HoldMore):
            self.hold_more()
        else:
            self.do_without(order.peer)

    def look(self) -> None:
        """To be called often."""
        for peer, child in list(self._new.items()):
            if "prepared" in child.told:
                del self._new[peer]
                self._tell(Parted(peer, self._started_for[peer], child.told["prepared"][0], self.known()))
        for peer, child in list(self._joining.items()):
            if "ready" in child.told:
                del self._joining[peer]
                send([child], "start")
        for peer in self._gone:
            self._sweep(peer)

    def hold_more(self) -> None:
        """Somebody is away, or was: what waits until all have caught up may be much."""
        for queue in self._queues:
            queue.widen()

    def known(self) -> Whereabouts:
        """Where the requests are, as far as this node knows."""
        return whereabouts(self._table, self._peers, self._jobs.num_replicas)

    def do_without(self, peer: int) -> None:
        """Nothing more comes from a node that is gone, and nobody takes what waits for it."""
        if peer not in self._plans or peer in self._gone:
            return
        self._gone.add(peer)
        self._end(peer)
        plan = self._plans[peer]
        for queue in plan.outgoing.values():
            self._loads.values[queue] = GONE
        for landing in plan.incoming.values():
            self._queues[landing.queue].close()

    # ---------------------------------------------------------------- bridges that die or are ended

    def _take_over(self, child: Child, how: str) -> bool:
        """After a death, told by its supervisor: whether the run goes on."""
        peer = next((one for one, plan in self._plans.items() if plan.name == child.name), None)
        if peer is None or self._stop.reason not in (Termination.UNSET, DONE):
            return False
        self._jobs.replacement.log.note("died", child.name, child.process.pid, reason=how)
        if self._jobs.is_over:
            self._stop.raise_flag(DONE)  # there is nothing left that the others could do
            return True
        child.has_heir = True
        self._tell(BridgeDied(peer, child.title, how, self._started_for.get(peer, 0)))
        return True

    def _part_from(self, order: PartFrom) -> None:
        peer = order.peer
        self._end(peer)
        self._jobs.tell_incidents()
        self._set_right(self._plans[peer], self._numbers[peer])
        child = self._bridges.start(self._plans[peer])
        self._jobs.replacement.log.note("replaced by", child.name, child.process.pid)
        self._new[peer], self._started_for[peer] = child, order.number

    def _end(self, peer: int) -> None:
        """End the bridge that there is."""
        self._new.pop(peer, None)
        self._joining.pop(peer, None)
        self._bridges.end(peer)

    def _join_to(self, order: JoinTo) -> None:
        child = self._joining[order.peer] = self._bridges.child(order.peer)
        send([child], "handles", self._replicas.handles())
        send([child], "addresses", {order.peer: order.address})

    # ---------------------------------------------------------------- what they had under way

    def _set_right(self, plan: BridgePlan, bridge: int) -> None:
        for queue in plan.outgoing.values():
            self._queues[queue].sift(partial(self._is_taken, bridge))
            self._loads.values[queue] = 0
        waiting: set[int] = set()
        for landing in plan.incoming.values():
            slots = set[int]()
            self._queues[landing.queue].sift(partial(_note_waiting, waiting, slots, landing.pool))
            if landing.pool is not None:
                self._pools[landing.pool].reclaim(slots)
        miss(self._table, waiting, bridge)
        for pool in plan.read_pools:
            self._pools[pool].let_go(bridge)

    def _is_taken(self, bridge: int, message: Message) -> bool:
        """Whether the bridge has claimed any of it, before the queue could forget it."""
        if not any(self._table.is_held(request, bridge) for request in message.requests):
            return False
        leave(self._table, message.requests, bridge)
        self._release(message)
        return True

    def _release(self, message: Message) -> None:
        if message.slot is not None:
            self._pools[message.slot.pool].release(message.slot.number)

    def _sweep(self, peer: int) -> None:
        """What a writer still left to a node that is gone begins again."""
        for queue in self._plans[peer].outgoing.values():
            if self._queues[queue].depth():
                found: list[Message] = []
                self._queues[queue].sift(partial(_take_out, found))
                for message in found:
                    self._release(message)
                    for request in message.requests:
                        self._jobs.lose(request.id, self._numbers[peer], f"node {peer} is gone")


def _note_waiting(waiting: set[int], slots: set[int], pool: int | None, message: Message) -> bool:
    waiting.update(request.id for request in message.requests)
    if message.slot is not None and message.slot.pool == pool:
        slots.add(message.slot.number)
    return False


def _take_out(found: list[Message], message: Message) -> bool:
    found.append(message)
    return True
