"""The thread that starts the processes of a pipeline, watches them, and ends them.

It is one thread from the first process to the last: the kernel ends a child with the thread that started it.
What it sees it tells the event loop by calls of its `Watcher`, which are made there.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from rnb.contract.termination import Termination, UsageError
from rnb.live.table import LiveTable
from rnb.pipeline.plan import Plan, ReplicaPlan
from rnb.processes.mps import shared_gpus
from rnb.processes.replicas import NUM_SAMPLES, Replicas, Setting, imported, starting
from rnb.processes.supervisor import Child, Supervisor
from rnb.spec import RunSpec, samples_of
from rnb.transport.fabric import Fabric
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.outlet import Collector, outlet

Call = Callable[[Callable[..., None]], None]


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

    def has_ended(self, error: BaseException | None) -> None:
        """No process is left; why, where nobody asked for it."""


class Joined:
    """What the event loop uses of a pipeline that has started."""

    def __init__(self, *, replicas: Replicas, sharing: str, start_ns: int) -> None:
        self.queues, self.described = replicas.queues, replicas.described()
        self.sharing, self.start_ns = sharing, start_ns


class Driver:
    """Of one pipeline."""

    def __init__(
        self, *, spec: RunSpec, plan: Plan, num_rows: int, watcher: Watcher, call: Callable[..., Any]
    ) -> None:
        """`call`: has the event loop make a call, as call_soon_threadsafe does."""
        self._spec, self._plan, self._watcher, self._call = spec, plan, watcher, call
        self._must_end = threading.Event()
        self._must_stop = threading.Event()
        with starting():
            self._fabric: Fabric = LocalFabric(imported(plan))
            self.table = LiveTable(num_rows=num_rows, events=plan.events)
        self.clock = self._fabric.clock
        self._supervisor = Supervisor(self._fabric, self._must_stop.is_set)
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
            if self._supervisor.failure is not None:
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
        )
        with starting():
            return Replicas(
                plan=self._plan, fabric=self._fabric, supervisor=self._supervisor, setting=setting
            )

    def _drive(self, replicas: Replicas, sharing: str) -> None:
        with starting():
            for replica in self._plan.replicas:
                self._spawn(replicas, replica)
            if not replicas.get_ready():
                return
        start_ns = replicas.start()
        self._call(self._watcher.has_started, Joined(replicas=replicas, sharing=sharing, start_ns=start_ns))
        while not self._must_end.is_set() and self._fabric.stop.reason is Termination.UNSET:
            self._supervisor.tick()
        replicas.queues[0].close()
        self._supervisor.wait_until_over(lambda: None)

    def _spawn(self, replicas: Replicas, replica: ReplicaPlan) -> Child:
        collector, ours = outlet()
        self._call(self._watcher.listen, self._plan.replicas.index(replica), collector)
        try:
            return replicas.spawn(replica, self.table.told_by(ours))
        finally:
            ours.close()
