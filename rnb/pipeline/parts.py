"""What each node has of a plan over several, and what crosses between two of them.

A queue keeps its number on every node. Where it has readers on other nodes, a writer puts a message into the
queue here or into one that leads to a bridge; the bridge of the other node puts it into that queue there, and
the rows of its slot into a slot of a pool of its own, which the replicas there read like any other. Where no
message of a queue has tensors, each writer sends to the other bridge itself, over a lane. One that may be
replaced does not: when it dies nobody could tell what of it has come through, while a bridge lives on. Nor
does any writer where nodes may be replaced: what waits in a queue here stays when the other end is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rnb.contract.device import CPU
from rnb.contract.request import Layout
from rnb.pipeline.plan import Plan, PoolPlan, QueuePlan, ReplicaPlan, WayPlan


@dataclass(frozen=True, kw_only=True)
class Landing:
    """Where the messages of a channel arrive."""

    queue: int
    pool: int | None
    """None: they have no tensors."""


@dataclass(frozen=True, kw_only=True)
class BridgePlan:
    """One end of a connection. Queues and pools are those of the node's part; a channel is the number of a
    queue whose messages it carries."""

    node: int
    peer: int
    outgoing: Mapping[int, int] = field(default_factory=dict)
    """Of each channel, the queue whose messages are sent."""
    incoming: Mapping[int, Landing] = field(default_factory=dict)
    lanes: Mapping[int, int] = field(default_factory=dict)
    """Of each queue that writers there send to themselves, how many they are."""
    read_pools: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return f"bridge to node {self.peer}"

    @property
    def connects(self) -> bool:
        """Whether this is the end that connects to the other one."""
        return self.node > self.peer

    @property
    def listens(self) -> bool:
        """Whether the other bridge or writers there connect to this one."""
        return not self.connects or bool(self.lanes)

    @property
    def landing_pools(self) -> list[int]:
        """In which the rows of messages arrive."""
        return [one.pool for one in self.incoming.values() if one.pool is not None]

    @property
    def measures_clock(self) -> bool:
        return self.node == 0

    @property
    def num_threads(self) -> int:
        """That are busy when messages cross."""
        return 1 + len(self.outgoing) + bool(self.lanes)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Of one node."""

    node: int
    plan: Plan
    """Its own replicas, with the queues and slots that they need here."""
    bridges: tuple[BridgePlan, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A queue between two nodes."""

    queue: int
    writer: int
    """The node of its writers."""
    reader: int
    layout: Layout
    """Of its largest message."""
    num_slots: int
    is_lane: bool
    """Whether its writers send to the other node themselves."""

    @property
    def num_bytes(self) -> int:
        """Of the rows of the largest message."""
        return sum(spec.num_bytes for spec in self.layout)


def part_of(plan: Plan, node: int) -> Part:
    """What a node has of a plan; all of it where that has but one node."""
    if plan.num_nodes == 1:
        return Part(node=node, plan=plan)
    return _Builder(plan, node).build()


def crossings(plan: Plan, node: int | None = None) -> list[Crossing]:
    """What crosses between nodes, in the order of the queues; `node`: only what comes from or to this one."""
    nodes = range(plan.num_nodes)
    return [
        _crossing(plan, queue, writer, reader)
        for queue in range(len(plan.queues))
        for writer in nodes
        if num_writers(plan, queue, writer)
        for reader in (nodes if node is None or node == writer else [node])
        if writer != reader and num_readers(plan, queue, reader)
    ]


def num_writers(plan: Plan, queue: int, node: int) -> int:
    """On a node; the clients are on the driver's."""
    clients = plan.queues[0].num_writers if queue == 0 and node == 0 else 0
    return clients + len(plan.writers.get((queue, node), ()))


def num_readers(plan: Plan, queue: int, node: int) -> int:
    return len(plan.readers.get((queue, node), ()))


def _crossing(plan: Plan, queue: int, writer: int, reader: int) -> Crossing:
    pools = [
        plan.pools[replica.out_pool]
        for replica in plan.writers.get((queue, writer), ())
        if replica.out_pool is not None
    ]
    layouts = zip(*(pool.layout for pool in pools), strict=True)
    layout = tuple(max(specs, key=lambda spec: spec.most_rows) for specs in layouts)
    return Crossing(
        queue=queue,
        writer=writer,
        reader=reader,
        layout=layout,
        num_slots=max((pool.num_slots for pool in pools), default=0),
        is_lane=not layout and not _is_left_to_bridges(plan, queue, writer),
    )


def _is_left_to_bridges(plan: Plan, queue: int, writer: int) -> bool:
    return plan.replaces_nodes or (plan.replaces and bool(plan.writers.get((queue, writer))))


class _Builder:
    def __init__(self, plan: Plan, node: int) -> None:
        self._plan, self._node = plan, node
        self._crossings = crossings(plan, node)
        own = [one for one in plan.replicas if one.node == node]
        kept = [replica.out_pool for replica in own if replica.out_pool is not None]
        self._new_pool = {pool: number for number, pool in enumerate(kept)}
        self._pools = [plan.pools[pool] for pool in kept]
        self._outgoing: dict[tuple[int, int], int] = {}
        self._landings: dict[tuple[int, int], Landing] = {}
        self._lanes = {
            (one.queue, one.writer): num_writers(plan, one.queue, one.writer)
            for one in self._crossings
            if one.is_lane and one.reader == node
        }
        self._queues = [self._queue(number) for number in range(len(plan.queues))]
        self._own = own

    def build(self) -> Part:
        for crossing in self._crossings:
            if not crossing.is_lane:
                (self._leave if crossing.writer == self._node else self._land)(crossing)
        self._queues[: len(self._plan.queues)] = map(self._with_ways, range(len(self._plan.queues)))
        replicas = [self._replica(replica) for replica in self._own]
        part = replace(self._plan, queues=self._queues, pools=self._pools, replicas=replicas)
        return Part(node=self._node, plan=part, bridges=tuple(self._bridges()))

    def _queue(self, number: int) -> QueuePlan:
        whole, others = self._plan.queues[number], set(range(self._plan.num_nodes)) - {self._node}
        return replace(
            whole,
            num_writers=num_writers(self._plan, number, self._node)
            + sum(self._num_closing(number, other) for other in others),
            num_readers=num_readers(self._plan, number, self._node),
        )

    def _num_closing(self, number: int, other: int) -> int:
        """How many there say that nothing more comes: each writer with a lane, or the bridge."""
        count = num_writers(self._plan, number, other)
        return self._lanes.get((number, other), min(count, 1))

    def _leave(self, crossing: Crossing) -> None:
        number, peer, whole = crossing.queue, crossing.reader, self._plan.queues[crossing.queue]
        self._queues.append(
            QueuePlan(
                name=f"{whole.name}, to node {peer}",
                capacity=whole.capacity,
                num_writers=num_writers(self._plan, number, self._node),
                num_readers=1,
            )
        )
        self._outgoing[number, peer] = len(self._queues) - 1

    def _with_ways(self, number: int) -> QueuePlan:
        leaving = {
            one.reader: one for one in self._crossings if one.queue == number and one.writer == self._node
        }
        if not leaving:
            return self._queues[number]
        ways = [
            WayPlan(
                queue=self._outgoing.get((number, node), number),
                num_readers=count,
                lane_to=node if node in leaving and leaving[node].is_lane else None,
            )
            for node in range(self._plan.num_nodes)
            if (count := num_readers(self._plan, number, node))
        ]
        return replace(self._queues[number], ways=tuple(ways))

    def _land(self, crossing: Crossing) -> None:
        pool = len(self._pools) if crossing.layout else None
        self._landings[crossing.queue, crossing.writer] = Landing(queue=crossing.queue, pool=pool)
        if pool is not None:
            self._pools.append(
                PoolPlan(
                    name=f"node {crossing.writer}, {self._plan.queues[crossing.queue].name}",
                    device=CPU,
                    num_slots=crossing.num_slots,
                    layout=crossing.layout,
                )
            )

    def _replica(self, replica: ReplicaPlan) -> ReplicaPlan:
        landed = [
            landing.pool
            for (queue, _), landing in self._landings.items()
            if queue in replica.in_queues and landing.pool is not None
        ]
        own = [self._new_pool[pool] for pool in replica.in_pools if pool in self._new_pool]
        return replace(
            replica,
            in_pools=(*own, *landed),
            out_pool=None if replica.out_pool is None else self._new_pool[replica.out_pool],
            readers=tuple(
                self._plan.readers[queue, self._node].index(replica) for queue in replica.in_queues
            ),
        )

    def _bridges(self) -> list[BridgePlan]:
        return [self._bridge(peer) for peer in range(self._plan.num_nodes) if self._is_joined(peer)]

    def _is_joined(self, peer: int) -> bool:
        """Every node is joined to the driver's, whose clock counts."""
        crosses = any(peer in (one.writer, one.reader) for one in self._crossings)
        return peer != self._node and (crosses or 0 in (peer, self._node))

    def _bridge(self, peer: int) -> BridgePlan:
        outgoing = {queue: number for (queue, to), number in self._outgoing.items() if to == peer}
        read = {
            self._new_pool[replica.out_pool]
            for replica in self._own
            if replica.out_pool is not None and outgoing.keys() & set(replica.out_queues)
        }
        return BridgePlan(
            node=self._node,
            peer=peer,
            outgoing=outgoing,
            incoming={queue: landing for (queue, by), landing in self._landings.items() if by == peer},
            lanes={queue: count for (queue, by), count in self._lanes.items() if by == peer},
            read_pools=tuple(sorted(read)),
        )
