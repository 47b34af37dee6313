"""The other nodes of a run, as the driver has them: an agent on each, to the supervisor like a child.

agent  -> driver   pid, hello (its environment), prepared (ports of its bridges), machine (facts of it),
                   start_up (what its replicas did), ready (facts of them, again when one is replaced), rows
                   (of its table), troubles (requests that did not get through), events (what became of its
                   replicas), news (of its bridges), beat (every second, once its processes start), done
                   (only its bridges are left), over (a replica died when nothing was left to do), tables
                   (what was seen), finished; or failed, queue_full
driver -> agent    part (what it is to do), handles, addresses (of the other nodes' bridges), start (by its
                   clock; where it drops what is late, again as the clocks drift), order (about its bridges,
                   see rnb/processes/parting.py), complete (all requests have their outcome), stop, exit
"""

from __future__ import annotations

import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.termination import Termination
from rnb.pipeline.parts import Part, part_of
from rnb.pipeline.plan import Plan
from rnb.processes.bridges import Bridges, Meeting, addresses_for
from rnb.processes.gathering import Rows, merge, note_outcomes
from rnb.processes.launch import JOIN_TIMEOUT_S, Launched, Launcher, Patience, Relaunch, launch
from rnb.processes.parting import News, Parting
from rnb.processes.recovery import Recovery
from rnb.processes.rejoining import Rejoining
from rnb.processes.replicas import Replicas
from rnb.processes.same_environment import NICENESS, Environment, check_same
from rnb.processes.start_up import Timed
from rnb.processes.supervisor import Child, Supervisor, send
from rnb.transport.clock_sync import NUM_KEPT, ClockFit, Exchange, first_fit, fit
from rnb.transport.fabric import Fabric, Stopped, Table
from rnb.transport.tcp.connection import Cut, Hearing, keep_alive
from rnb.transport.tcp.handshake import TOKEN_BYTES, accept, listen

START_LEAD_NS = 300_000_000
"""The start lies so far ahead when it is announced: the word has to reach every node."""
RANK = 2000
"""Agents are let go of first: what their replicas still read came over connections."""
START_INTERVAL_S = 10.0
"""How often a node that drops what is late is told anew when the start was, by its clock of now."""
GATHER_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What an agent is told to do."""

    part: Part
    meeting: Meeting
    num_requests: int
    mps: str
    batch_timeout_ms: float
    seed: int
    checkpoint: str | None
    samples: Sequence[Any]
    num_sequences: int
    arrivals_ns: NDArray[np.int64] | None
    """Of each request, from the start; None: nobody there needs them."""
    max_lateness_ns: int | None
    restarts: int | None
    """How often it replaces each replica that dies; None: requests have one try, and replicas one process."""
    gone: frozenset[int]
    """Nodes without which the run goes on."""
    is_newcomer: bool
    """Whether it takes the place of another one: the timed part has begun."""
    faults: Sequence[Any]
    """What is done to the run on purpose; see rnb/faults/plan.py."""
    telemetry: bool
    """Whether it is to watch its machine."""
    memory: bool
    """Whether what its replicas hold is noted after each call."""


class Agent:
    """The process of an agent, as the supervisor has one of its children."""

    def __init__(self, launched: Launched, connection: Connection) -> None:
        self._launched, self._connection = launched, connection
        self.sentinel = os.dup(connection.fileno())
        """Readable when it is gone, as the line to it is."""
        self.pid: int | None = None
        self.is_let_go = False

    @property
    def exitcode(self) -> int | None:
        if not self._connection.closed:
            return None
        return 0 if self.is_let_go else 1

    def join(self, timeout: float | None = None) -> None:
        """Wait until its line is closed."""
        self.is_let_go = True
        try:
            while not self._connection.closed and self._connection.poll(timeout):
                self._connection.recv()
        except (EOFError, OSError):
            self._connection.close()

    def close(self) -> None:
        """Forget it; it has ended."""
        self._connection.close()
        os.close(self.sentinel)

    def terminate(self) -> None:
        self._launched.end()

    def kill(self) -> None:
        self._launched.end()


class OtherNodes:
    """All nodes but the driver's, for one run, and the bridges to them."""

    def __init__(
        self,
        *,
        launcher: Launcher,
        plan: Plan,
        part: Part,
        fabric: Fabric,
        supervisor: Supervisor,
        table: Table,
        environment: Environment,
        carrier: str,
        drops_late: bool,
    ) -> None:
        """`plan`: of all nodes; `part`: of this one; `table`: where all comes together; `drops_late`: whether
        the nodes have to know when requests are due."""
        self._launcher, self._plan, self._environment = launcher, plan, environment
        self._supervisor, self._fabric, self._table = supervisor, fabric, table
        self._part, self._stop, self._drops_late = part, fabric.stop, drops_late
        hosts = [host.address for host in launcher.hosts]
        self.meeting = Meeting(token=secrets.token_bytes(TOKEN_BYTES), hosts=hosts, carrier=carrier)
        self._bridges = Bridges(part.bridges, meeting=self.meeting, fabric=fabric, supervisor=supervisor)
        self.recovery: Recovery | None = None
        self._rejoining: Rejoining | None = None
        self._listening = listen(hosts[0])
        self._told = {"token": self.meeting.token.hex(), "niceness": int(environment[NICENESS])}
        """What every agent is told as it starts."""
        self._launched: dict[int, Launched] = {}
        self.agents: dict[int, Child] = {}
        """By node."""
        self._processes: dict[int, Agent] = {}
        self._hearings: dict[int, Hearing] = {}
        """Of agents that have begun to beat."""
        self._lives: list[_Life] = []
        """Of agents that are gone."""
        self._rows: dict[int, list[Rows]] = {}
        self._clocks: dict[int, ClockFit] = {}
        self._is_stop_told = self._is_concluded = False
        self._is_told_complete: set[int] = set()
        self._start_ns: int | None = None
        self._next_start_s = 0.0

    def launch(self, replicas: Replicas, environment: Mapping[str, str]) -> None:
        """Start the agents, and the bridges here."""
        if self.recovery is not None:
            self._bridges.rules_of = self.recovery.node.rules_of_bridge
        for node in range(1, self._plan.num_nodes):
            self._launched[node] = launch(self._launcher, node, self._listening, self._told)
        self._bridges.spawn(replicas, self._table, environment)

    def welcome(self, work: Callable[[Part, frozenset[int]], Work]) -> None:
        """Wait for the agents and tell each its part. Raises UsageError for one that cannot take part."""
        self._work = work
        with self._listening:
            patience = Patience(
                self._stop, missing=self._missing, timeout_s=JOIN_TIMEOUT_S, tick=self._supervisor.tick
            )
            while self._missing():
                try:
                    connected, node = accept(self._listening, self.meeting.token, patience)
                except Stopped:
                    return
                self.adopt(node, self._launched[node], connected)
        if not self._all_have_said_hello():
            return
        self._check_same(self.agents)
        for node, child in self.agents.items():
            send([child], "part", work(part_of(self._plan, node), frozenset()))

    def _check_same(self, nodes: Iterable[int]) -> None:
        hellos = {node: self.agents[node].told["hello"][0] for node in nodes}
        using = {replica.node for replica in self._plan.replicas if replica.device.is_gpu}
        check_same({0: self._environment, **hellos}, with_gpus=using)

    def _missing(self) -> dict[int, Launched]:
        return {node: one for node, one in self._launched.items() if node not in self.agents}

    def adopt(self, node: int, launched: Launched, connected: socket.socket) -> Child:
        """An agent has connected."""
        self._launched[node] = launched
        connected.settimeout(None)
        keep_alive(connected)
        connection = Connection(connected.detach())
        agent, where = Agent(launched, connection), self._launcher.hosts[node].name
        self._processes[node] = agent
        child = self._supervisor.adopt(f"node {node}", agent, connection, rank=RANK, where=where)
        self.agents[node] = child
        return child

    def _all_have_said_hello(self) -> bool:
        """When they have; False: the run was stopped first."""
        while not all("hello" in child.told for child in self.agents.values()):
            self._supervisor.tick()
            if self._stop.reason is not Termination.UNSET:
                return False
        return True

    def join(self) -> bool:
        """Tell each bridge where the others are; when all are prepared."""
        ports = {node: child.told["prepared"][0] for node, child in self.agents.items()}
        ports[0], hosts = self._bridges.ports(), self.meeting.hosts
        self._bridges.join(addresses_for(0, ports, hosts))
        for node, child in self.agents.items():
            send([child], "addresses", addresses_for(node, ports, hosts))
        return True

    def start(self) -> int:
        """Tell each node when the timed part begins, by its own clock; returns that by the clock here."""
        exchanges = self._bridges.exchanges()
        clocks = {node: first_fit(exchanges[node]) for node in self.agents}
        start_ns = self._start_ns = self._fabric.clock.now_ns() + START_LEAD_NS
        for node, child in self.agents.items():
            send([child], "start", clocks[node].there(start_ns))
        self._next_start_s = time.monotonic() + START_INTERVAL_S
        return start_ns

    def _tell_start_again(self) -> None:
        self._next_start_s = time.monotonic() + START_INTERVAL_S
        for node, child in self.agents.items():
            if "ready" in child.told:
                self.tell_start(node)

    def start_up(self) -> list[tuple[str, Timed]]:
        """What the replicas there did until they were ready, by this machine's clock."""
        exchanges = self._bridges.exchanges()
        return [
            (name, timed.moved(first_fit(exchanges[node]).offset_ns))
            for node, child in self.agents.items()
            for name, timed in child.told["start_up"][0]
        ]

    def look(self) -> None:
        """To be called often: pass on what has to be, and take what the nodes have to tell."""
        if self._stop.reason is not Termination.UNSET and not self._is_stop_told:
            self._is_stop_told = True
            send(list(self.agents.values()), "stop")
        if self._drops_late and self._start_ns and time.monotonic() > self._next_start_s:
            self._tell_start_again()
        for node, child in self.agents.items():
            self._take_in(node, child)
            self._note_silence(node, child)
        if self._rejoining is not None:
            self._rejoining.look()
        is_done = self._bridges.is_alone and all("done" in child.told for child in self.agents.values())
        may_conclude = self.recovery is None or self.recovery.is_over  # else one may be away
        if is_done and may_conclude and not self._is_concluded:
            self._is_concluded = True
            self._bridges.conclude()

    def _note_silence(self, node: int, child: Child) -> None:
        """An agent that does not go on is as good as gone, though its machine and its line are there."""
        if "beat" in child.told:
            del child.told["beat"]
            self._hearings.setdefault(node, Hearing()).note()
        elif node in self._hearings and self._stop.reason is Termination.UNSET and not child.is_dead:
            try:
                self._hearings[node].check()
            except Cut as cut:
                child.why_gone = str(cut)
                child.connection.close()

    def _take_in(self, node: int, child: Child) -> None:
        for rows in child.told.pop("rows", ()):
            self._rows.setdefault(node, []).append(rows)
            note_outcomes(self._table, rows)
        if "queue_full" in child.told:
            is_first = child.told["queue_full"][0] == self._plan.queues[0].name
            full = Termination.FILENAME_QUEUE_FULL if is_first else Termination.FRAME_QUEUE_FULL
            self._stop.raise_flag(full)
        if self.recovery is not None:
            self._pass_on(node, child, self.recovery)
        for news in child.told.pop("news", ()):
            self._hear(node, news)

    def _pass_on(self, node: int, child: Child, recovery: Recovery) -> None:
        """What a node tells of its replicas, and of requests that did not get through there."""
        for trouble in itertools.chain(*child.told.pop("troubles", ())):
            recovery.take_up(trouble._replace(reason=f"node {node}: {trouble.reason}"))
        for entry in itertools.chain(*child.told.pop("events", ())):
            at_ns = entry.at_ns + self._latest_clock(node).offset_ns
            reason = entry.reason and f"node {node}: {entry.reason}"
            recovery.log.add(entry._replace(at_ns=at_ns, reason=reason))
        if "over" in child.told:
            self._stop.raise_flag(Termination.TARGET_NUM_VIDEOS_REACHED)
        if recovery.is_over and node not in self._is_told_complete:
            self._is_told_complete.add(node)
            send([child], "complete")

    # ---------------------------------------------------------------- agents that are replaced

    def begin(self, replicas: Replicas) -> None:
        """The timed part begins: where it was asked for, the run goes on when an agent or a bridge dies."""
        if self.recovery is None or not self._plan.replaces_nodes:
            return
        parting = Parting(
            part=self._part,
            bridges=self._bridges,
            supervisor=self._supervisor,
            fabric=self._fabric,
            table=self._table,
            replicas=replicas,
            jobs=self.recovery.node,
            tell=partial(self._hear, 0),
        )
        parting.begin()
        self._rejoining = Rejoining(
            nodes=self,
            hosts=self._launcher.hosts,
            plan=self._plan,
            parting=parting,
            recovery=self.recovery,
            supervisor=self._supervisor,
            stop=self._stop,
            table=self._table,
        )
        self._rejoining.begin()

    def _hear(self, node: int, news: News) -> None:
        if self._rejoining is not None:
            self._rejoining.take_in(node, news)

    def relaunch(self, node: int) -> Relaunch:
        """Start another agent in the place of one that is gone."""
        return Relaunch(self._launcher, node, self._launched[node], told=self._told, stop=self._stop)

    def tell_part(self, node: int, gone: frozenset[int]) -> None:
        """To one that has said hello; `gone`: nodes that are not there any more. Raises UsageError."""
        self._check_same([node])
        send([self.agents[node]], "part", self._work(part_of(self._plan, node), gone))

    def tell_start(self, node: int) -> bool:
        """When its replicas are ready; False: its clock is not known yet."""
        if self._start_ns is None or not self._bridges.exchanges().get(node):
            return False
        send([self.agents[node]], "start", self._latest_clock(node).there(self._start_ns))
        return True

    def retire(self, node: int) -> None:
        """Its agent is gone, and the bridge to it was ended; what it has told is kept."""
        child = self.agents.pop(node, None)
        if child is None:
            return
        self._take_in(node, child)
        self._lives.append(
            _Life(node, self._rows.pop(node, []), self._bridges.forget_clock(node), child.told)
        )
        self._is_told_complete.discard(node)
        self._hearings.pop(node, None)
        self._supervisor.forget(child)
        self._processes.pop(node).close()

    def _latest_clock(self, node: int) -> ClockFit:
        return first_fit(self._bridges.exchanges()[node][-NUM_KEPT:])

    def gather(self) -> None:
        """After the timed part: wait for what is left, and put all into the table here, in this time."""
        deadline = time.monotonic() + GATHER_TIMEOUT_S
        while time.monotonic() < deadline and not all(map(_has_told_all, self.agents.values())):
            self._supervisor.tick()
            self.look()
        self.look()
        for life in self._lives:
            if life.exchanges:
                self._merge(life.node, life.rows, fit(life.exchanges))
        for node, told in self._bridges.exchanges().items():
            if told:
                self._merge(node, self._rows.get(node, ()), fit(told))

    def _merge(self, node: int, told: Iterable[Rows], clock: ClockFit) -> None:
        """`clock`: of the machine that has told it."""
        self._clocks[node] = clock
        since_ns = None if self.recovery is None else self.recovery.began_ns
        for rows in told:
            merge(self._table, rows, clock, node, since_ns)

    def replicas(self) -> list[dict[str, Any]]:
        """Those of the other nodes as run.json has them."""
        ready = {life.node: life.told["ready"][-1] for life in self._lives if "ready" in life.told}
        ready |= {
            node: child.told["ready"][-1] for node, child in self.agents.items() if "ready" in child.told
        }
        return [replica for one in ready.values() for replica in one]

    def tables(self, name: str, time: str) -> dict[int, dict[str, NDArray[Any]]]:
        """A table of each node that has told it, by name; its column `time` by this machine's clock."""
        told = {node: self._tables_of(child).get(name) for node, child in self.agents.items()}
        return {
            node: {**table, time: self._clocks[node].here(table[time])}
            for node, table in told.items()
            if table is not None and node in self._clocks
        }

    def _tables_of(self, child: Child) -> dict[str, dict[str, NDArray[Any]]]:
        return child.told["tables"][0] if "tables" in child.told else {}

    def described(self) -> list[dict[str, Any]]:
        """Each node as run.json has it."""
        return [
            {
                "node": node,
                "host": host.name,
                "address": host.address,
                "clock": self._clocks[node].to_json() if node in self._clocks else None,
                **self._machine(node),
            }
            for node, host in enumerate(self._launcher.hosts[: self._plan.num_nodes])
        ]

    def _machine(self, node: int) -> dict[str, Any]:
        told = {life.node: life.told for life in self._lives if "machine" in life.told}.get(node, {})
        if node in self.agents and "machine" in self.agents[node].told:
            told = self.agents[node].told
        if "machine" not in told:
            return {}
        mps, *provenance = told["machine"]
        return {
            "mps": mps,
            "provenance": {name: fact for facts in provenance for name, fact in facts.items()},
        }

    def end(self) -> None:
        """Leave nothing on any node."""
        self._listening.close()
        if self._rejoining is not None:
            self._rejoining.end()
        for launched in self._launched.values():
            launched.end()
        for agent in self._processes.values():
            agent.close()


def _has_told_all(child: Child) -> bool:
    """One that has died may have an heir, which does not come any more."""
    return child.is_over or child.is_dead


@dataclass(frozen=True)
class _Life:
    """What is left of an agent that is gone."""

    node: int
    rows: Sequence[Rows]
    exchanges: Sequence[Exchange]
    """With its clock."""
    told: Mapping[str, Any]
