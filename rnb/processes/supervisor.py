"""Starts the processes of a run, watches them, and ends them, whatever happens."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol

from rnb.contract.termination import Termination
from rnb.processes.child import interrupts_held_back
from rnb.processes.guard import Guard
from rnb.processes.start_up import TOLD, Timed, timed_of_children
from rnb.transport.clock import now_ns
from rnb.transport.fabric import ControlLine, Fabric

TICK_S = 0.05
START_TIMEOUT_S = 900.0
"""Loading and warming up the largest networks takes minutes; a start-up that takes longer hangs."""
FINISH_GRACE_S = 4.0
END_GRACE_S = 30.0
"""How long children may take to end once every request has its outcome."""
EXIT_GRACE_S = 1.5


class Process(Protocol):
    """What the supervisor asks of a process."""

    sentinel: int
    """Readable when it is gone."""
    pid: int | None
    """None: it is on another machine."""

    @property
    def exitcode(self) -> int | None: ...

    def join(self, timeout: float | None = None) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(kw_only=True)
class Child:
    name: str
    rank: int
    """How late in the pipeline it is: 0 for the client, 1 for step 0, …"""
    process: Process
    connection: connection.Connection
    spawned_ns: int = 0
    """When it was asked for; 0: others have started it."""
    is_replaceable: bool = False
    """Whether the run may go on without it; what it tells of its failure waits until it is dead then."""
    told: dict[str, list[Any]] = field(default_factory=dict)
    """What it has told so far, by kind; it may tell several things of a kind."""
    is_dead: bool = False
    """Whether its death has been noticed; asking the process again would miss what has to be done then."""
    has_heir: bool = False
    """Whether another process is to take its place, which is not there yet."""
    where: str = ""
    """Of a process on another machine: which one."""
    why_gone: str = "the connection to it was cut"
    """Of such a process, if it is."""

    @property
    def is_over(self) -> bool:
        return not self.has_heir and ("finished" in self.told or self.is_dead)

    def end(self) -> str:
        """How it ended, in words."""
        if "failed" in self.told:
            return f"failed: {self.told['failed'][0][0]}"
        return self.exit_in_words()

    def exit_in_words(self) -> str:
        if self.where:
            return f"on {self.where} is gone: {self.why_gone}"
        return describe_exit(self.process.exitcode)

    @property
    def title(self) -> str:
        return f"{self.name} (pid {self.process.pid})" if self.process.pid else self.name


class Supervisor:
    """Owns the child processes. The first failure raises the stop flag and becomes `failure`.

    `is_interrupted` is asked now and then; where it says so, the run is stopped.
    """

    def __init__(self, fabric: Fabric, is_interrupted: Callable[[], bool] = lambda: False) -> None:
        self._fabric, self._stop, self._is_interrupted = fabric, fabric.stop, is_interrupted
        self._guard: Guard | None = None
        self.children: list[Child] = []
        self.take_overs: list[Callable[[Child, str], bool]] = []
        """Each is told of a child that has died, and how, until one says that the run goes on without it."""
        self.failure: str | None = None
        self.traceback = ""

    def spawn(
        self,
        name: str,
        target: Callable[[Any], None],
        make_task: Callable[[ControlLine], Any],
        *,
        rank: int = 0,
        is_replaceable: bool = False,
    ) -> Child:
        """Start a process that runs `target(make_task(line))`; the heir of another one has its name."""
        ours, theirs = self._fabric.line()
        process = self._fabric.process(name=name, target=target, args=(make_task(theirs),))
        spawned_ns = now_ns()
        with interrupts_held_back():
            process.start()
        self._guard = self._guard or Guard()
        self._guard.add(process.pid or 0)
        theirs.close()
        child = Child(
            name=name,
            rank=rank,
            process=process,
            connection=ours,
            spawned_ns=spawned_ns,
            is_replaceable=is_replaceable,
        )
        self.children.append(child)
        return child

    def forget(self, child: Child) -> None:
        """Of a process that has ended, nothing is needed any more: another one has taken its place."""
        self.children.remove(child)
        remove_shared_files([child.process.pid])
        if self._guard is not None and child.process.pid:
            self._guard.drop(child.process.pid)

    def adopt(
        self, name: str, process: Process, line: connection.Connection, *, rank: int, where: str
    ) -> Child:
        """Watch a process that others have started, on another machine."""
        child = Child(name=name, rank=rank, process=process, connection=line, where=where)
        self.children.append(child)
        return child

    def wait_for(self, kind: str, *, timeout_s: float | None = None) -> bool:
        """Wait until every child has told `kind`; False when the run was stopped first."""
        timeout_s = START_TIMEOUT_S if timeout_s is None else timeout_s
        deadline = time.monotonic() + timeout_s
        while not all(kind in child.told for child in self.children):
            self.tick()
            if self._stop.reason is not Termination.UNSET:
                return False
            if time.monotonic() > deadline:
                late = ", ".join(child.name for child in self.children if kind not in child.told)
                self.fail(f"{late}: not {kind} within {timeout_s:g} s")
        return True

    def wait_until_over(
        self, on_tick: Callable[[], None], is_complete: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until all children have ended their work; after a stop, for at most FINISH_GRACE_S.

        `is_complete`: whether nothing is left to do. It is asked every second, and END_GRACE_S after it said
        so the run is stopped.
        """
        deadline: float | None = None
        complete_since, next_look = math.inf, time.monotonic()
        while not all(child.is_over for child in self.children):
            self.tick()
            on_tick()
            now = time.monotonic()
            if self._stop.reason is not Termination.UNSET:
                deadline = deadline or now + FINISH_GRACE_S
                if now > deadline:
                    return
            elif now > complete_since + END_GRACE_S:
                late = ", ".join(child.name for child in self.children if not child.is_over)
                self.fail(f"{late}: not ended {END_GRACE_S:g} s after the last request was done")
            elif now > next_look:
                next_look = now + 1
                complete_since = min(complete_since, now if is_complete() else math.inf)

    def tick(self) -> None:
        """Take what the children tell for up to TICK_S, and notice those that died."""
        if self._is_interrupted():
            self._stop.raise_flag(Termination.INTERRUPTED)
        lines: dict[Any, Child] = {
            child.connection: child for child in self.children if not child.connection.closed
        }
        sentinels = {child.process.sentinel: child for child in self.children if not child.is_dead}
        for ready in connection.wait([*lines, *sentinels], TICK_S):
            if ready in lines:
                self._receive(lines[ready])
        for child in sentinels.values():
            if not child.is_dead and child.process.exitcode is not None:
                self._note_death(child)

    def _receive(self, child: Child) -> None:
        try:
            kind, value = child.connection.recv()
        except (EOFError, OSError):
            child.connection.close()
            return
        child.told.setdefault(kind, []).append(value)
        if kind == "failed" and not child.is_replaceable:
            self._fail_with(child)

    def _note_death(self, child: Child) -> None:
        child.is_dead = True
        while not child.connection.closed and child.connection.poll():
            self._receive(child)  # what it told before it died says more than its exit code
        if "finished" in child.told and not child.process.exitcode:
            return
        if self._is_taken_over(child, child.end()):
            return
        if "failed" in child.told:
            self._fail_with(child)
        self.fail(f"{child.title} {child.exit_in_words()}")

    def _is_taken_over(self, child: Child, how: str) -> bool:
        return any(take_over(child, how) for take_over in self.take_overs)

    def _fail_with(self, child: Child) -> None:
        summary, trace = child.told["failed"][0]
        self.fail(f"{child.name} failed: {summary}", trace)

    def fail(self, failure: str, trace: str = "") -> None:
        """End the run for this reason, if it is the first. What fails after an interruption is due to it."""
        if self.failure is None and self._stop.reason is not Termination.INTERRUPTED:
            self.failure, self.traceback = failure, trace
        self._stop.raise_flag(Termination.PROCESS_FAILED)

    def told(self, kind: str) -> dict[str, list[Any]]:
        """What the children that have told it said, by their names."""
        return {child.name: child.told[kind] for child in self.children if kind in child.told}

    def start_up(self) -> list[tuple[str, Timed]]:
        """What each process did until it was ready, with its name."""
        told = {name: values[-1] for name, values in self.told(TOLD).items()}
        return timed_of_children(told, {child.name: child.spawned_ns for child in self.children})

    def pids(self) -> dict[str, int]:
        """Of those on this machine, by the name of the process."""
        return {child.name: child.process.pid for child in self.children if child.process.pid}

    def send_all(self, kind: str, value: Any = None) -> None:
        send(self.children, kind, value)

    def end(self) -> None:
        """End every process: let go of them, the readers of slots before their producers, then force them."""
        for rank in sorted({child.rank for child in self.children}, reverse=True):
            group = [child for child in self.children if child.rank == rank]
            send(group, "exit")
            _join([child for child in group if child.is_over])  # who hangs is not waited for by rank
        self._note_late_deaths()
        for force in ("terminate", "kill"):
            alive = [child for child in self.children if child.process.exitcode is None]
            for child in alive:
                getattr(child.process, force)()
            _join(alive)
        if self._guard is not None:
            self._guard.end()
        remove_shared_files([child.process.pid for child in self.children])

    def _note_late_deaths(self) -> None:
        for child in self.children:
            if child.process.exitcode and not child.is_dead:
                how = child.exit_in_words()
                if self._is_taken_over(child, how):
                    continue
                self.fail(f"{child.title} {how} after its work was done")


def send(children: Sequence[Child], kind: str, value: Any = None) -> None:
    for child in children:
        with contextlib.suppress(OSError):  # it died: its sentinel says so
            child.connection.send((kind, value))


def _join(children: Sequence[Child]) -> None:
    deadline = time.monotonic() + EXIT_GRACE_S
    for child in children:
        child.process.join(max(0.0, deadline - time.monotonic()))


def remove_shared_files(pids: Sequence[int | None]) -> None:
    """Remove what CUDA and PyTorch leave in /dev/shm when a process that shared GPU memory ends.

    CUDA names its files cuda.shm.<user>.<pid in hex>.<n>, PyTorch torch_<pid>_<…>.
    """
    for pid in filter(None, pids):
        for pattern in (f"cuda.shm.*.{pid:x}.*", f"torch_{pid}_*"):
            for path in Path("/dev/shm").glob(pattern):
                path.unlink(missing_ok=True)


def describe_exit(exit_code: int | None) -> str:
    """An exit code of multiprocessing in words."""
    if exit_code is not None and exit_code < 0:
        is_named = -exit_code in set(signal.Signals)
        return f"was killed by {signal.Signals(-exit_code).name if is_named else f'signal {-exit_code}'}"
    return f"ended with exit status {exit_code}"
