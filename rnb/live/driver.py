"""The thread that starts the processes of a pipeline, watches them, and ends them.

It is one thread from the first process to the last: the kernel ends a child with the thread that started it.
What it sees it tells the event loop by calls of its `Watcher`, which are made there.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from rnb.contract.termination import Termination, UsageError
from rnb.live.endurance import Endurance
from rnb.live.table import LiveTable
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.processes.mps import shared_gpus
from rnb.processes.replacement import NEVER, Replacement
from rnb.processes.replicas import NUM_SAMPLES, Replicas, Setting, imported, starting
from rnb.processes.supervisor import Child, Supervisor
from rnb.spec import RunSpec, samples_of
from rnb.transport.fabric import Fabric
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.outlet import Collector, outlet


class StartFailed(Exception):
    """A pipeline that did not get ready: one line, and where it went wrong in its process."""

    def __init__(self, line: str, trace: str = "") -> None:
        super().__init__(line)
        self.traceback = trace


class Watcher(Protocol):
    """What the event loop is told."""

    def listen(self, replica: int, collector: Collector) -> None:
        """A process of a replica is about to start, and tells by this what becomes of requests."""

    def has_started(self, joined: Joined) -> None:
        """All are ready."""

    def has_lost(self, replica: int, request_ids: Sequence[int], reason: str) -> None:
        """A replica has died, and what it had is nowhere any more."""

    def has_away(self, replicas: frozenset[int]) -> None:
        """Which replicas do not serve now."""

    def has_given_up(self, replica: int, reason: str) -> None:
        """A replica is replaced no more."""

    def has_ended(self, error: BaseException | None) -> None:
        """No process is left; why, where nobody asked for it."""


class Joined:
    """What the event loop uses of a pipeline that has started."""

    def __init__(self, replicas: Replicas, sharing: str) -> None:
        """`sharing`: how its processes share GPUs, in words."""
        self.queues, self.described, self.sharing = replicas.queues, replicas.described(), sharing


class Driver:
    """Of one pipeline."""

    def __init__(
        self, *, spec: RunSpec, plan: Plan, num_rows: int, watcher: Watcher, call: Callable[..., Any]
    ) -> None:
        """`call`: has the event loop make a call, as call_soon_threadsafe does, and never raises."""
        self._spec, self._plan, self._watcher, self._call = spec, plan, watcher, call
        self._must_end = threading.Event()
        self._must_stop = threading.Event()
        with starting():
            self.fabric: Fabric = LocalFabric(imported(plan))
            self.table = LiveTable(num_rows=num_rows, events=plan.events)
        self._supervisor = Supervisor(self.fabric, self._must_stop.is_set)
        self._endurance = [Endurance() for _ in plan.replicas]
        self._away: frozenset[int] = frozenset()
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Let the stream of requests end, and the processes when they have served what is there."""
        self._must_end.set()

    def stop(self) -> None:
        """End all processes as soon as may be."""
        self._must_stop.set()
        self._must_end.set()

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with shared_gpus(self._plan, self._spec.placement.mps) as sharing:
                try:
                    self._drive(self._replicas(sharing.environment), sharing.state)
                finally:
                    self._supervisor.end()
            if self._supervisor.failure is not None and not self._must_stop.is_set():
                error = StartFailed(self._supervisor.failure, self._supervisor.traceback)
        except UsageError as problem:
            error = problem
        except Exception as problem:
            error = StartFailed(f"{type(problem).__name__}: {problem}", traceback.format_exc())
        self._call(self._watcher.has_ended, error)

    def _replicas(self, environment: Any) -> Replicas:
        placement = self._spec.placement
        setting = Setting(
            batch_timeout_ms=placement.batch_timeout_ms,
            seed=self._spec.load.seed,
            checkpoint=placement.checkpoint,
            samples=samples_of(self._spec, NUM_SAMPLES),
            num_clients=1,
            environment=environment,
            is_replaceable=True,
            is_patient=True,
        )
        with starting():
            return Replicas(plan=self._plan, fabric=self.fabric, supervisor=self._supervisor, setting=setting)

    def _drive(self, replicas: Replicas, sharing: str) -> None:
        replacement = self._replacement(replicas)
        replicas.rules_of = replacement.rules
        spawn = partial(self._spawn, replicas)
        with starting():
            for replica in self._plan.replicas:
                spawn(replica)
            if not replicas.get_ready():
                return
        start_ns = replicas.start()
        for endurance in self._endurance:
            endurance.begin()
        self._call(self._watcher.has_started, Joined(replicas, sharing))
        replacement.begin(
            start_ns,
            supervisor=self._supervisor,
            spawn=spawn,
            handles=replicas.handles,
            replaced=lambda name, pid: None,
        )
        while not self._must_end.is_set() and self.fabric.stop.reason is Termination.UNSET:
            self._supervisor.tick()
            replacement.look()
            self._tell_who_is_away(replacement.away)
        replicas.queues[0].close()
        replacement.end()
        self._supervisor.wait_until_over(replacement.look)

    def _replacement(self, replicas: Replicas) -> Replacement:
        return Replacement(
            plan=self._plan,
            fabric=self.fabric,
            table=self.table,
            queues=replicas.queues,
            pools=replicas.pools,
            keeper=self,
            is_replaceable=True,
        )

    def _spawn(self, replicas: Replicas, replica: ReplicaPlan) -> Child:
        collector, ours = outlet()
        self._call(self._watcher.listen, self._plan.replicas.index(replica), collector)
        try:
            return replicas.spawn(replica, self.table.told_by(ours))
        finally:
            ours.close()

    # ---------------------------------------------------------------- deaths; see Keeper

    def wait_s(self, replica: int, how: str) -> float | None:
        wait_s = self._endurance[replica].wait_s(was_serving=replica not in self._away)
        if wait_s == NEVER:
            self._call(self._watcher.has_given_up, replica, how)
        return wait_s

    def lost(self, replica: int, reason: str) -> None:
        ids = list(self.table.ids)  # first: a row that is used again is nobody's yet
        held = (self.table.claims == replica).any(axis=1)
        lost = [ids[row] for row in np.flatnonzero(held).tolist() if ids[row] >= 0]
        self._call(self._watcher.has_lost, replica, lost, reason)

    def _tell_who_is_away(self, away: set[int]) -> None:
        for replica in self._away - away:
            self._endurance[replica].begin()
        if away != self._away:
            self._away = frozenset(away)
            self._call(self._watcher.has_away, self._away)
