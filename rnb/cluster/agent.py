"""The process on a node of a run over several: a fabric and a supervisor for the replicas there.

`rnb/processes/other_nodes.py` is the driver's end of the line between them. An agent ends, and all that it
has started, when the driver says so, when the line to it is cut, or when whoever launched it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from rnb.cluster.launching import UNREACHABLE
from rnb.contract.termination import Termination, UsageError
from rnb.faults.player import FaultPlayer
from rnb.observe import provenance
from rnb.observe.environment import environment
from rnb.observe.telemetry import Watch
from rnb.pipeline.step_type import resolve
from rnb.processes.bridges import Bridges
from rnb.processes.due_times import DueTimes
from rnb.processes.gathering import Reporter
from rnb.processes.memory import memory_table
from rnb.processes.mps import Sharing, shared_gpus
from rnb.processes.node_jobs import NodeJobs, Trouble
from rnb.processes.other_nodes import Work
from rnb.processes.parting import Order, Parting
from rnb.processes.replacement import DONE
from rnb.processes.replicas import Replicas, Setting, imported
from rnb.processes.supervisor import Supervisor
from rnb.record.tables import MEMORY, TELEMETRY
from rnb.transport.fabric import Stopped
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.tcp.connection import keep_alive
from rnb.transport.tcp.handshake import connect

REPORT_INTERVAL_S = 1.0


class DriverLine:
    """An agent's end of its line to the driver."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told: dict[str, Any] = {}
        self._orders: list[Order] = []
        self.is_cut = False

    def tell(self, kind: str, value: Any = None) -> None:
        try:
            self._connection.send((kind, value))
        except OSError:
            self.is_cut = True

    def has_told(self, kind: str) -> bool:
        """Whether the driver has said so by now."""
        try:
            while not self.is_cut and self._connection.poll():
                said, value = self._connection.recv()
                self._told[said] = value
                if said == "order":
                    self._orders.append(value)
        except (EOFError, OSError):
            self.is_cut = True
        return kind in self._told

    def value(self, kind: str) -> Any:
        return self._told[kind]

    def orders(self) -> list[Order]:
        """All that have come since this was called last."""
        self.has_told("order")
        taken, self._orders = self._orders, []
        return taken

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for this run any more."""
        return self.has_told("stop") or self.has_told("exit") or self.is_cut

    def wait_for(self, kind: str) -> Any:
        """Where nothing else is under way yet. Raises Stopped when the run ends first."""
        while not self.has_told(kind):
            if self.is_over:
                raise Stopped
            self._connection.poll(REPORT_INTERVAL_S)
        return self._told[kind]


class Agent:
    """For one run."""

    def __init__(self, line: DriverLine, work: Work) -> None:
        self._line, self._work, self._part = line, work, work.part
        self._check_machine()
        plan = self._part.plan
        self._fabric = LocalFabric(imported(plan))
        self._supervisor = Supervisor(self._fabric, self._is_over)
        self._table = self._fabric.table(num_requests=work.num_requests, events=plan.events)
        self._reporter = Reporter(self._table, len(plan.replicas) if plan.replaces_nodes else None)
        self._next_report = self._next_beat = 0.0
        self._due = None if work.arrivals_ns is None else DueTimes(self._table, work.arrivals_ns)
        self._is_done = self._has_told_problem = self._has_told_over = False
        self._jobs: NodeJobs | None = None
        self._parting: Parting | None = None
        self._faults = FaultPlayer(work.faults, self._part.node)
        self._troubles: list[Trouble] = []
        self._watch: Watch | None = None
        self._memory = self._fabric.log() if work.memory else None
        self._bridges = Bridges(
            self._part.bridges, meeting=work.meeting, fabric=self._fabric, supervisor=self._supervisor
        )

    def _is_over(self) -> bool:
        """Whether nobody waits for this run any more; asked often, so the driver hears a beat, too."""
        if time.monotonic() > self._next_beat:
            self._next_beat = time.monotonic() + REPORT_INTERVAL_S
            self._line.tell("beat")
        return self._line.is_over

    def _check_machine(self) -> None:
        """What the driver could not look for. Raises UsageError."""
        for replica in self._part.plan.replicas:
            step_type = resolve(replica.model)
            options = step_type.cls.Options.model_validate(dict(replica.options))
            step_type.check_machine(replica.step, 0, options, replica.device)

    def run(self) -> None:
        with shared_gpus(self._part.plan, self._work.mps) as sharing:
            try:
                self._play(sharing)
                self._conclude()
            finally:
                self._faults.kill()
                self._supervisor.end()

    def _play(self, sharing: Sharing) -> None:
        gpu_sharing = sharing.environment
        setting = Setting(
            batch_timeout_ms=self._work.batch_timeout_ms,
            seed=self._work.seed,
            checkpoint=self._work.checkpoint,
            samples=self._work.samples,
            num_sequences=self._work.num_sequences,
            num_clients=0,
            max_lateness_ns=self._work.max_lateness_ns,
            memory=self._memory,
            num_bridge_threads=sum(bridge.num_threads for bridge in self._part.bridges),
            num_nodes_here=self._work.meeting.num_nodes_beside(self._part.node),
            token=self._work.meeting.token,
            environment=gpu_sharing,
            is_replaceable=bool(self._work.restarts),
        )
        replicas = Replicas(
            plan=self._part.plan, fabric=self._fabric, supervisor=self._supervisor, setting=setting
        )
        if self._work.restarts is not None:
            self._jobs = self._keep_jobs(replicas, self._work.restarts)
        replicas.slowdowns_of = self._faults.slowdowns_of
        self._bridges.spawn(replicas, self._table, gpu_sharing, self._work.gone)
        for replica in self._part.plan.replicas:
            replicas.spawn(replica, self._table)
        self._line.tell("machine", sharing.state)
        self._line.tell("machine", provenance.collect())
        if not replicas.get_ready(self._join):
            return
        if self._work.telemetry:
            self._watch = Watch(self._part.plan.gpus, {"agent": os.getpid(), **self._supervisor.pids()})
        self._line.tell("start_up", self._supervisor.start_up())
        self._line.tell("ready", replicas.described())
        if not self._wait_for("start"):
            return
        self._note_due()
        start_ns = replicas.start(self._line.value("start"))
        if self._jobs is not None:
            self._jobs.replacement.begin(
                start_ns,
                supervisor=self._supervisor,
                spawn=lambda replica: replicas.spawn(replica, self._table),
                handles=replicas.handles,
                replaced=partial(self._tell_of_heir, replicas),
            )
        if self._parting is not None:
            self._parting.begin()
            for peer in self._work.gone:
                self._parting.do_without(peer)
        self._faults.meet(self._supervisor.pids())
        self._faults.begin(start_ns)
        self._supervisor.wait_until_over(self._look)

    def _keep_jobs(self, replicas: Replicas, restarts: int) -> NodeJobs:
        jobs = NodeJobs(
            restarts=restarts,
            part=self._part,
            fabric=self._fabric,
            table=self._table,
            queues=replicas.queues,
            pools=replicas.pools,
            tell=self._troubles.append,
        )
        replicas.rules_of, self._bridges.rules_of = jobs.replacement.rules, jobs.rules_of_bridge
        self._parting = Parting(
            part=self._part,
            bridges=self._bridges,
            supervisor=self._supervisor,
            fabric=self._fabric,
            table=self._table,
            replicas=replicas,
            jobs=jobs,
            tell=partial(self._line.tell, "news"),
        )
        if self._work.is_newcomer:
            self._parting.hold_more()
        return jobs

    def _tell_of_heir(self, replicas: Replicas, name: str, pid: int) -> None:
        if self._watch is not None:
            self._watch.replaced(name, pid)
        self._faults.replaced(name, pid)
        self._line.tell("ready", replicas.described())

    def _join(self) -> bool:
        self._line.tell("prepared", self._bridges.ports())
        if not self._wait_for("addresses"):
            return False
        self._bridges.join(self._line.value("addresses"))
        return True

    def _wait_for(self, kind: str) -> bool:
        """Wait for a word of the driver, and watch the processes meanwhile; False: the run was stopped."""
        while not self._line.has_told(kind):
            self._supervisor.tick()
            if self._fabric.stop.reason is not Termination.UNSET:
                return False
        return True

    def _note_due(self) -> None:
        if self._due is not None:
            self._due.note(self._line.value("start"))

    def _look(self) -> None:
        self._tell_problem()
        self._note_due()
        if self._jobs is not None:
            self._look_after(self._jobs)
        if self._parting is not None:
            self._part_and_join(self._parting)
        if self._watch is not None:
            self._watch.look()
        if self._bridges.is_alone and not self._is_done:
            self._is_done = True
            self._line.tell("done")
        if time.monotonic() > self._next_report:
            self._next_report = time.monotonic() + REPORT_INTERVAL_S
            if (rows := self._reporter.news()) is not None:
                self._line.tell("rows", rows)

    def _look_after(self, jobs: NodeJobs) -> None:
        jobs.look(self._line.has_told("complete"))
        if self._troubles:
            self._line.tell("troubles", list(self._troubles))
            self._troubles.clear()
        if entries := jobs.replacement.log.take():
            self._line.tell("events", entries)
        if self._fabric.stop.reason is DONE and not self._has_told_over:
            self._has_told_over = True
            self._line.tell("over")

    def _part_and_join(self, parting: Parting) -> None:
        for order in self._line.orders():
            parting.follow(order)
        parting.look()

    def _tell_problem(self) -> None:
        """Why the run cannot go on, once; where it is over and all is done, it need not."""
        if self._has_told_problem or (self._line.has_told("complete") and self._line.is_over):
            return
        supervisor = self._supervisor
        full = next((told[0] for told in supervisor.told("queue_full").values()), None)
        self._has_told_problem = supervisor.failure is not None or full is not None
        if supervisor.failure is not None:
            self._line.tell("failed", (supervisor.failure, supervisor.traceback))
        elif full is not None:
            self._line.tell("queue_full", full)

    def _conclude(self) -> None:
        """Tell what is left to tell, and wait until the driver lets go."""
        supervisor, line = self._supervisor, self._line
        self._tell_problem()
        line.tell("rows", self._reporter.rest())
        line.tell("tables", self._tables())
        line.tell("finished")
        while not line.has_told("exit") and not line.is_cut:
            supervisor.tick()

    def _tables(self) -> dict[str, dict[str, Any]]:
        """What was seen here, by the clock of this machine."""
        tables: dict[str, dict[str, Any]] = {}
        if self._watch is not None:
            self._watch.stop()
            self._line.tell("machine", self._watch.facts())
            tables[TELEMETRY] = self._watch.columns(0)
        if self._memory is not None:
            tables[MEMORY] = memory_table(self._memory, [one.name for one in self._part.plan.replicas])
        return tables


def main() -> int:
    """Take one line from the standard input, and work for the driver that it names."""
    told = json.loads(sys.stdin.readline())
    with contextlib.suppress(PermissionError):  # then the driver refuses this node
        os.setpriority(os.PRIO_PROCESS, 0, told["niceness"])  # Ray lets what it starts go behind all else
    try:
        connected = connect(tuple(told["driver"]), bytes.fromhex(told["token"]), told["node"])
    except OSError:
        return UNREACHABLE
    connected.settimeout(None)
    keep_alive(connected)
    line = DriverLine(Connection(connected.detach()))
    threading.Thread(target=_end_with_launcher, args=(line,), daemon=True).start()
    try:
        line.tell("pid", os.getpid())
        line.tell("hello", environment())
        Agent(line, line.wait_for("part")).run()
    except Stopped:
        pass
    except UsageError as error:
        line.tell("failed", (str(error), ""))
    except Exception as error:
        line.tell("failed", (f"{type(error).__name__}: {error}", traceback.format_exc()))
    return 0


def _end_with_launcher(line: DriverLine) -> None:
    """The other end of the standard input is held by the launcher alone."""
    sys.stdin.read()
    line.is_cut = True


if __name__ == "__main__":
    sys.exit(main())
