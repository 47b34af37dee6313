"""What the driver does where an agent dies, or a bridge, so that the run goes on.

    a death ──▶ all nodes that are left part ──▶ what was lost begins again ──▶ all are prepared: they join
       └──────▶ another agent is launched, and prepares its replicas ───────────────────┘

A bridge that dies is a connection that is lost: the nodes at both ends part (rnb/processes/parting.py) and
join again. An agent that dies is all connections of its node. Where no other one starts, the run goes on
without that node, if others take from all the queues that it took from.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rnb.contract.termination import Termination, UsageError
from rnb.pipeline.parts import num_readers, part_of
from rnb.pipeline.plan import Plan
from rnb.processes.launch import REJOIN_TIMEOUT_S, Host, Launched, Relaunch
from rnb.processes.node_jobs import Trouble
from rnb.processes.parting import (
    BridgeDied,
    DoWithout,
    HoldMore,
    JoinTo,
    News,
    Order,
    Parted,
    PartFrom,
    Parting,
)
from rnb.processes.recovery import Recovery
from rnb.processes.replacement import DONE
from rnb.processes.supervisor import START_TIMEOUT_S, Child, Supervisor, send
from rnb.processes.whereabouts import Link, Whereabouts, lost
from rnb.transport.fabric import UNFINISHED, Stop, Table

ANSWER_TIMEOUT_S = 20.0
"""A node that has not parted by then is taken to be gone."""


class Nodes(Protocol):
    """The other nodes, as rnb/processes/other_nodes.py has them."""

    @property
    def agents(self) -> Mapping[int, Child]:
        """Those that are connected, by node."""

    def relaunch(self, node: int) -> Relaunch:
        """Start another agent in the place of one that is gone."""

    def adopt(self, node: int, launched: Launched, connected: socket.socket) -> Child:
        """It has connected."""

    def tell_part(self, node: int, gone: frozenset[int]) -> None:
        """To one that has said hello; `gone`: nodes that are not there any more. Raises UsageError."""

    def tell_start(self, node: int) -> bool:
        """When its replicas are ready; False: its clock is not known yet."""

    def retire(self, node: int) -> None:
        """Its agent is gone; what it has told is kept."""


@dataclass(kw_only=True)
class Newcomer:
    """An agent in the place of another one, until its replicas are ready."""

    relaunch: Relaunch
    child: Child | None = None
    """None: it has not connected yet."""
    has_part: bool = False
    is_joining: bool = False
    problem: str | None = None
    """Why there is none."""
    until: float = field(default_factory=lambda: time.monotonic() + REJOIN_TIMEOUT_S)
    """Another one may be tried, by the clock of time.monotonic."""
    ready_until: float = field(default_factory=lambda: time.monotonic() + START_TIMEOUT_S)
    """Its replicas may take so long, as those of the first one could."""

    @property
    def is_prepared(self) -> bool:
        return self.child is not None and "prepared" in self.child.told


class Rejoining:
    """Of one run; nothing happens before its timed part has begun."""

    def __init__(
        self,
        *,
        nodes: Nodes,
        hosts: Sequence[Host],
        plan: Plan,
        parting: Parting,
        recovery: Recovery,
        supervisor: Supervisor,
        stop: Stop,
        table: Table,
    ) -> None:
        """`plan`: of all nodes; `parting`: of this one, which tells `take_in` its news."""
        self._nodes, self._hosts, self._plan, self._table = nodes, hosts, plan, table
        self._parting, self._recovery, self._supervisor, self._stop = parting, recovery, supervisor, stop
        self._numbers = itertools.count(1)
        self._num_deaths, self._num_cuts = Counter[int](), Counter[Link]()
        self._deaths: list[tuple[int, str]] = []
        """Agents that have died, and how, since the last look."""
        self._news: list[tuple[int, News]] = []
        """And what nodes have told."""
        self._newcomers: dict[int, Newcomer] = {}
        self._gone: set[int] = set()
        self._broken: dict[Link, tuple[str, str]] = {}
        """Connections that are not there, and what died, and how."""
        self._asked: dict[tuple[int, int], float] = {}
        """Nodes that are to part from others, and until when."""
        self._last_number: dict[tuple[int, int], int] = {}
        """Of the last PartFrom to each node for each other one, answered or not."""
        self._ports: dict[tuple[int, int], int] = {}
        self._known: dict[int, Whereabouts] = {}
        """By node, what it knew when it parted last."""
        self._is_settled = True
        self._is_disturbed = False

    def begin(self) -> None:
        """The timed part begins."""
        for node, child in self._nodes.agents.items():
            self._note("started", node, child)
        self._supervisor.take_overs.append(self._take_over)

    def take_in(self, node: int, news: News) -> None:
        """What a node has told."""
        self._news.append((node, news))

    def look(self) -> None:
        """To be called often."""
        if self._stop.reason is not Termination.UNSET:
            return
        if self._recovery.is_over and (self._newcomers or self._broken or self._deaths):
            self._stop.raise_flag(DONE)  # nothing is left that they could do
            return
        self._parting.look()
        while self._deaths:
            self._lose(*self._deaths.pop(0))
        while self._news:
            self._hear(*self._news.pop(0))
        for node, newcomer in self._newcomers.items():
            self._bring_on(node, newcomer)
        self._lose_those_who_cannot()
        if self._broken and not self._asked:
            self._settle()
        for node, newcomer in list(self._newcomers.items()):
            self._let_begin(node, newcomer)

    def end(self) -> None:
        """However the run ended."""
        for newcomer in self._newcomers.values():
            newcomer.relaunch.end()

    # ---------------------------------------------------------------- deaths

    def _take_over(self, child: Child, how: str) -> bool:
        """After a death, told by the supervisor: whether the run goes on."""
        node = next((node for node, one in self._nodes.agents.items() if one is child), None)
        if node is None or self._stop.reason not in (Termination.UNSET, DONE):
            return False
        if node in self._newcomers and not self._newcomers[node].has_part:
            self._note("replaced by", node, child)
        self._note("died", node, child, reason=how)
        if self._recovery.is_over:
            self._stop.raise_flag(DONE)
            return True
        self._num_deaths[node] += 1
        if self._num_deaths[node] > self._recovery.restarts:
            return False
        child.has_heir = True
        self._deaths.append((node, how))
        return True

    def _note(self, event: str, node: int, child: Child | None = None, *, reason: str = "") -> None:
        pid = child.told.get("pid", [0])[0] if child is not None else 0
        self._recovery.log.note(event, f"node {node}", pid, reason=reason)

    def _lose(self, node: int, how: str) -> None:
        self._newcomers.pop(node, None)
        self._renew(node, how)
        for other, newcomer in list(self._newcomers.items()):
            if newcomer.is_joining and other in self._peers(node):
                self._renew(other, f"had to start anew with node {node}")

    def _renew(self, node: int, how: str) -> None:
        """Another agent is to take its place, and all that is left parts from it."""
        self._known.pop(node, None)
        self._asked = {one: until for one, until in self._asked.items() if one[0] != node}
        self._last_number = {one: number for one, number in self._last_number.items() if one[0] != node}
        self._newcomers[node] = Newcomer(relaunch=self._nodes.relaunch(node))
        for peer in self._peers(node):
            self._break(node, peer, f"node {node}", how)
        self._nodes.retire(node)

    def _break(self, node: int, peer: int, who: str, how: str) -> None:
        self._let_hold_more()
        self._broken[frozenset((node, peer))] = who, f"{who} {how}"
        for one, other in ((node, peer), (peer, node)):
            if self._serves(one):
                number = self._last_number[one, other] = next(self._numbers)
                self._asked[one, other] = time.monotonic() + ANSWER_TIMEOUT_S
                self._tell(one, PartFrom(other, number))

    def _let_hold_more(self) -> None:
        if not self._is_disturbed:
            self._is_disturbed = True
            for node in filter(self._serves, range(self._plan.num_nodes)):
                self._tell(node, HoldMore())

    def _lose_those_who_cannot(self) -> None:
        """Nodes that do not answer, and newcomers whose processes do not start; they may wait for ever."""
        now = time.monotonic()
        for node in {node for (node, _), until in self._asked.items() if node and now > until}:
            how = f"on {self._hosts[node].name} did not answer for {ANSWER_TIMEOUT_S:g} s"
            self._give_up_on(node, self._nodes.agents[node], how)
        for node, newcomer in self._newcomers.items():
            if newcomer.child is None:
                continue
            if "failed" in newcomer.child.told:
                self._give_up_on(node, newcomer.child, newcomer.child.end())
            elif now > newcomer.ready_until:
                how = f"on {self._hosts[node].name} was not ready within {START_TIMEOUT_S:g} s"
                self._give_up_on(node, newcomer.child, how)

    def _give_up_on(self, node: int, child: Child, how: str) -> None:
        child.is_dead = True  # that it ends by itself is no other death
        if not self._take_over(child, how):
            self._supervisor.fail(f"node {node} {how}")

    def _tell(self, node: int, order: Order) -> None:
        if node == 0:
            self._parting.follow(order)
        else:
            send([self._nodes.agents[node]], "order", order)

    def _serves(self, node: int) -> bool:
        return node not in self._newcomers and node not in self._gone

    def _peers(self, node: int) -> set[int]:
        """Those that have a connection to it."""
        return {bridge.peer for bridge in part_of(self._plan, node).bridges} - self._gone

    # ---------------------------------------------------------------- what nodes tell

    def _hear(self, node: int, news: News) -> None:
        if not self._serves(node):
            return
        if isinstance(news, Parted):
            asked = node, news.peer
            if asked in self._asked and news.number == self._last_number[asked]:
                del self._asked[asked]
                self._ports[node, news.peer], self._known[node] = news.port, news.known
                self._is_settled = False
        else:
            self._hear_of_death(node, news)

    def _hear_of_death(self, node: int, news: BridgeDied) -> None:
        link, where = frozenset((node, news.peer)), f"node {node} failed: " if node else ""
        is_replaced = news.number != self._last_number.get((node, news.peer), 0)
        if is_replaced or news.peer in self._gone:
            return
        self._num_cuts[link] += 1
        if self._num_cuts[link] > self._recovery.restarts:
            self._supervisor.fail(f"{where}{news.name} {news.how}")
        elif news.peer in self._newcomers and self._newcomers[news.peer].is_joining:
            self._renew(news.peer, "had to start anew")
        else:
            self._break(node, news.peer, news.name, news.how)

    # ---------------------------------------------------------------- what begins again

    def _settle(self) -> None:
        """All have parted."""
        if not self._is_settled:
            self._is_settled = True
            self._begin_again()
        for node, newcomer in list(self._newcomers.items()):
            if newcomer.problem is not None:
                self._try_again_or_go_on_without(node, newcomer, newcomer.problem)
                return
        if all(newcomer.is_prepared for newcomer in self._newcomers.values()):
            self._join()

    def _begin_again(self) -> None:
        """What went with the connections that are broken."""
        self._recovery.try_again()  # first what nodes have told
        known = {**self._known, 0: self._parting.known()}
        unfinished = self._table.outcomes["status"] == UNFINISHED
        for request_id, link in lost(known, list(self._broken), unfinished).items():
            who, reason = self._broken[link]
            self._recovery.take_up(Trouble(request_id, who, True, reason))

    def _join(self) -> None:
        for link in self._broken:
            for node in filter(self._serves, link):
                (peer,) = link - {node}
                self._tell(node, JoinTo(peer, self._address(peer, node)))
        for node, newcomer in self._newcomers.items():
            if newcomer.child is not None and not newcomer.is_joining:
                newcomer.is_joining = True
                addresses = {peer: self._address(peer, node) for peer in self._peers(node)}
                send([newcomer.child], "addresses", addresses)
        self._broken.clear()
        self._known.clear()

    def _address(self, node: int, peer: int) -> tuple[str, int]:
        """Where a bridge of a node listens for the one of another."""
        newcomer = self._newcomers.get(node)
        if newcomer is None or newcomer.child is None:
            return self._hosts[node].address, self._ports[node, peer]
        return self._hosts[node].address, newcomer.child.told["prepared"][0].get(peer, 0)

    # ---------------------------------------------------------------- newcomers

    def _bring_on(self, node: int, newcomer: Newcomer) -> None:
        child = newcomer.child
        if child is None:
            newcomer.problem = newcomer.relaunch.problem
            if (connected := newcomer.relaunch.take()) is not None:
                newcomer.child = self._nodes.adopt(node, newcomer.relaunch.launched, connected)
                newcomer.child.is_replaceable = True  # it may fail again
        elif "hello" in child.told and not newcomer.has_part and newcomer.problem is None:
            self._note("replaced by", node, child)
            try:
                self._nodes.tell_part(node, frozenset(self._gone))
                newcomer.has_part = True
            except UsageError as error:
                newcomer.problem = str(error)

    def _let_begin(self, node: int, newcomer: Newcomer) -> None:
        child = newcomer.child
        if newcomer.is_joining and child and "ready" in child.told and self._nodes.tell_start(node):
            child.is_replaceable = False
            self._note("started", node, child)
            del self._newcomers[node]

    def _try_again_or_go_on_without(self, node: int, newcomer: Newcomer, why: str) -> None:
        is_allowed = self._num_deaths[node] < self._recovery.restarts
        if newcomer.child is None and is_allowed and time.monotonic() < newcomer.until:
            self._num_deaths[node] += 1
            newcomer.relaunch, newcomer.problem = self._nodes.relaunch(node), None
        else:
            self._go_on_without(node, why)

    def _go_on_without(self, node: int, why: str) -> None:
        where = f"node {node} on {self._hosts[node].name}"
        if (queue := self._queue_of_nobody_else(node)) is not None:
            self._supervisor.fail(f"{where} is gone, and nobody else takes from {queue}: {why}")
            return
        self._note("left out", node, reason=why)
        self._newcomers.pop(node).relaunch.end()
        peers = self._peers(node)
        self._gone.add(node)
        self._broken = {link: how for link, how in self._broken.items() if node not in link}
        for peer in filter(self._serves, peers):
            self._tell(peer, DoWithout(node))
        for other, newcomer in list(self._newcomers.items()):
            if newcomer.has_part and other in peers:
                self._renew(other, f"had to start anew without node {node}")
        self._nodes.retire(node)

    def _queue_of_nobody_else(self, node: int) -> str | None:
        """One that only this node takes from, of those that are left."""
        left = set(range(self._plan.num_nodes)) - self._gone - {node}
        for number, queue in enumerate(self._plan.queues):
            is_left = any(num_readers(self._plan, number, other) for other in left)
            if num_readers(self._plan, number, node) and not is_left:
                return queue.name
        return None
