"""The bridges of one node: their processes, and how they find those of other nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rnb.pipeline.parts import BridgePlan
from rnb.processes.bridge import BridgeTask, run_bridge
from rnb.processes.jobs import JobRules
from rnb.processes.replicas import Replicas
from rnb.processes.supervisor import Child, Supervisor, send
from rnb.transport.clock_sync import Exchange
from rnb.transport.fabric import ControlLine, Fabric, Table
from rnb.transport.tcp.address_book import Address

_RANK = 1000
"""Bridges read the slots of replicas of any step, so they end before all of them."""


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """What the bridges of a run have in common."""

    token: bytes
    hosts: Sequence[str]
    """The address of each node."""
    carrier: str

    def num_nodes_beside(self, node: int) -> int:
        """How many nodes, that one among them, are its machine and share its CPUs."""
        return self.hosts.count(self.hosts[node])


class Bridges:
    """Made before their processes."""

    def __init__(
        self, plans: Sequence[BridgePlan], *, meeting: Meeting, fabric: Fabric, supervisor: Supervisor
    ) -> None:
        self._plans, self._meeting, self._fabric, self._supervisor = plans, meeting, fabric, supervisor
        self.rules_of: Callable[[int], JobRules | None] = lambda number: None
        """What the n-th bridge does more where a replica may be replaced."""
        self._replicas: Replicas | None = None
        self._children: dict[int, Child] = {}
        """By the other node."""
        self._earlier: dict[int, list[Exchange]] = defaultdict(list)
        """By the other node, those of bridges that were replaced."""

    def spawn(
        self,
        replicas: Replicas,
        table: Table,
        environment: Mapping[str, str],
        gone: Collection[int] = (),
    ) -> None:
        """Start their processes; `gone`: nodes without which the run goes on."""
        self._replicas = replicas
        self._make_task = partial(self._task, replicas, table, environment)
        for plan in self._plans:
            if plan.peer not in gone:
                self.start(plan)

    def start(self, plan: BridgePlan) -> Child:
        """A new process."""
        rules = self.rules_of(self._plans.index(plan))
        child = self._supervisor.spawn(
            plan.name,
            run_bridge,
            partial(self._make_task, plan),
            rank=_RANK,
            is_replaceable=rules is not None and rules.is_replaceable,
        )
        self._children[plan.peer] = child
        return child

    def end(self, peer: int) -> None:
        """Kill a process, if it is still there, and forget it, but for what it has learned of the clock."""
        child = self._children.pop(peer, None)
        if child is None:
            return
        child.is_dead = True
        child.process.kill()
        child.process.join()
        self._earlier[peer] += _exchanges(child)
        self._supervisor.forget(child)

    def child(self, peer: int) -> Child:
        """The process that leads to a node."""
        return self._children[peer]

    def pid(self, peer: int) -> int | None:
        return self._children[peer].process.pid if peer in self._children else None

    def _task(
        self,
        replicas: Replicas,
        table: Table,
        environment: Mapping[str, str],
        plan: BridgePlan,
        line: ControlLine,
    ) -> BridgeTask:
        landings = plan.incoming.values()
        queues = {*plan.outgoing.values(), *plan.lanes, *(landing.queue for landing in landings)}
        pools = {*plan.read_pools, *plan.landing_pools}
        return BridgeTask(
            line=line,
            stop=self._fabric.stop,
            table=table,
            plan=plan,
            queues={number: replicas.queues[number] for number in queues},
            pools={number: replicas.pools[number] for number in pools},
            loads=replicas.loads,
            host=self._meeting.hosts[plan.node],
            token=self._meeting.token,
            environment=environment,
            carrier=self._meeting.carrier,
            poll_s=replicas.poll_s,
            jobs=self.rules_of(self._plans.index(plan)),
        )

    def ports(self) -> dict[int, int]:
        """Where those listen that do, by the other node; when all are prepared."""
        ports = {peer: child.told["prepared"][0] for peer, child in self._children.items()}
        return {peer: port for peer, port in ports.items() if port}

    def join(self, addresses: Mapping[int, Address]) -> None:
        """Tell them, and the writers of lanes, where the other ends are, by the other node."""
        assert self._replicas is not None
        self._replicas.addresses.write(addresses)
        send(list(self._children.values()), "addresses", dict(addresses))

    @property
    def is_alone(self) -> bool:
        """Whether nothing but bridges is under way on this node."""
        bridges = [id(child) for child in self._children.values()]
        others = [child for child in self._supervisor.children if id(child) not in bridges]
        return all(child.is_over for child in others if not child.where)

    def conclude(self) -> None:
        """All is done on every node: read the clocks a last time, and say goodbye."""
        send(list(self._children.values()), "conclude")

    def exchanges(self) -> dict[int, list[Exchange]]:
        """With the clock of each other node."""
        return {peer: self._earlier[peer] + _exchanges(child) for peer, child in self._children.items()}

    def forget_clock(self, peer: int) -> list[Exchange]:
        """That of a node which is gone, whose bridge was ended; returns the exchanges with it."""
        return self._earlier.pop(peer, [])


def _exchanges(child: Child) -> list[Exchange]:
    return [one for burst in child.told.get("clock", ()) for one in burst]


def addresses_for(
    node: int, ports: Mapping[int, Mapping[int, int]], hosts: Sequence[str]
) -> dict[int, Address]:
    """Where a node's bridges find the others; `ports`: by the node that listens, for each other node."""
    return {other: (hosts[other], by_peer.get(node, 0)) for other, by_peer in ports.items() if other != node}
