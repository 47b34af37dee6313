"""Plays the faults of a run, each at its time: signals to runners, and processes that take what they need."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from rnb.contract.fault import FaultKind
from rnb.contract.termination import UsageError
from rnb.faults.plan import PlannedFault
from rnb.observe.observer import End, Observer, Seen, Start, Watched
from rnb.pipeline.plan import ReplicaPlan
from rnb.processes.slowness import Slowdown
from rnb.record.meta import PlayedFault
from rnb.transport.clock import now_ns

HELPER = Path(__file__).with_name("helper.py")
STOP_TIMEOUT_S = 5.0


class FaultPlayer(Observer):
    """Acts in a thread of the driver, so that a fault comes within a millisecond of its time.

    On each other node of a run there is one more, for the replicas there.
    """

    name = "faults"

    def __init__(self, faults: Sequence[PlannedFault], node: int = 0) -> None:
        self.planned, self._node = faults, node
        self._helpers: dict[int, list[subprocess.Popen[str]]] = {}
        """By the number of the fault; all are on the driver's node."""
        self._pids: dict[str, int] = {}
        self._times_ns: dict[tuple[int, bool], int] = {}
        """When each fault began (True) and ended (False)."""
        self._stopped: set[int] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._over_ns = 0
        self._problems: dict[int, str] = {}

    def prepare(self, watched: Watched) -> None:
        for number, planned in enumerate(self.planned):
            self._helpers[number] = [_start_helper(*arguments) for arguments in _helpers_of(planned)]

    def start(self, start: Start) -> None:
        self.meet(start.pids)
        for number, helpers in self._helpers.items():
            for helper in helpers:
                assert helper.stdout is not None
                if not helper.stdout.readline():
                    text = self.planned[number].fault.text
                    raise UsageError(f"--fault {text}: its process did not start: {_last_line(helper)}")

    def meet(self, pids: Mapping[str, int]) -> None:
        """The processes of this node, by name."""
        self._pids = dict(pids)

    def replaced(self, name: str, pid: int) -> None:
        self._pids[name] = pid

    def begin(self, start_ns: int) -> None:
        if self.planned:
            self._thread = threading.Thread(target=self._play, args=[start_ns], name="faults", daemon=True)
            self._thread.start()

    def stop(self, end: End) -> Seen:
        self._over_ns = end.time_ns
        for number, helpers in self._helpers.items():
            has_ended = (number, False) in self._times_ns
            if failed := [helper for helper in helpers if not has_ended and helper.poll()]:
                self._problems[number] = f"its process failed: {_last_line(failed[0])}"
        self.kill()
        return Seen()

    def slowdowns_of(self, replica: ReplicaPlan) -> tuple[Slowdown, ...]:
        """What the runner of a replica is told."""
        return tuple(filter(None, (planned.slowdown_of(replica) for planned in self.planned)))

    def kill(self) -> None:
        """Undo all that still lasts."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
        for pid in list(self._stopped):
            self._signal(pid, signal.SIGCONT)
        for helper in (helper for helpers in self._helpers.values() for helper in helpers):
            _end_helper(helper)

    def played(self, epoch_offset_ns: int) -> list[PlayedFault]:
        """What was done, and when."""
        return [self._played(number, epoch_offset_ns) for number in range(len(self.planned))]

    def _played(self, number: int, epoch_offset_ns: int) -> PlayedFault:
        planned = self.planned[number]
        start_ns = self._times_ns.get((number, True))
        end_ns = self._times_ns.get((number, False), self._over_ns)
        if planned.fault.kind is FaultKind.KILL:
            end_ns = start_ns or 0
        return PlayedFault(
            fault=planned.fault.text,
            what=planned.what,
            start_epoch_ns=None if start_ns is None else start_ns + epoch_offset_ns,
            end_epoch_ns=None if start_ns is None else end_ns + epoch_offset_ns,
            problem=self._problems.get(number, ""),
        )

    def _play(self, start_ns: int) -> None:
        for due_ns, number, is_start in self._moments():
            if self._stopping.wait(max(0, start_ns + due_ns - now_ns()) / 1e9):
                return
            self._times_ns[number, is_start] = now_ns()
            self._act(number, is_start)

    def _moments(self) -> list[tuple[int, int, bool]]:
        """When, which fault, and whether it begins then, in the order of time."""
        starts = [(planned.start_ns, number, True) for number, planned in enumerate(self.planned)]
        ends = [
            (planned.end_ns, number, False)
            for number, planned in enumerate(self.planned)
            if planned.end_ns is not None
        ]
        return sorted(starts + ends)

    def _act(self, number: int, is_start: bool) -> None:
        planned = self.planned[number]
        for pid in (self._pids[one.name] for one in planned.replicas if one.node == self._node):
            for signalled in _signals(planned.fault.kind, is_start):
                self._signal(pid, signalled)
        for helper in self._helpers.get(number, ()):
            _begin_helper(helper) if is_start else _end_helper(helper)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        (self._stopped.add if number is signal.SIGSTOP else self._stopped.discard)(pid)
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(pid, number)


def _signals(kind: FaultKind, is_start: bool) -> list[signal.Signals]:
    """What the runners get; a slow one slows itself down."""
    if kind is FaultKind.KILL:
        return [signal.SIGKILL]
    if kind is FaultKind.STALL:
        return [signal.SIGSTOP if is_start else signal.SIGCONT]
    return []


def _helpers_of(planned: PlannedFault) -> list[list[str]]:
    """The arguments of each process that the fault needs."""
    fault = planned.fault
    if fault.kind is FaultKind.CPU:
        return [["cpu"]] * int(fault.amount)
    if fault.kind is FaultKind.GPU_MEMORY:
        return [["gpu-memory", str(planned.gpu), str(round(fault.amount * 1e9))]]
    return []


def _start_helper(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(HELPER), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _begin_helper(helper: subprocess.Popen[str]) -> None:
    assert helper.stdin is not None
    with contextlib.suppress(OSError):  # it has ended: `stop` sees that
        helper.stdin.write("go\n")
        helper.stdin.flush()


def _last_line(helper: subprocess.Popen[str]) -> str:
    """Of what a process that has ended wrote to stderr."""
    assert helper.stderr is not None
    return next(iter(reversed(helper.stderr.read().split("\n")[:-1])), "")


def _end_helper(helper: subprocess.Popen[str]) -> None:
    helper.kill()
    helper.wait()
    for stream in (helper.stdin, helper.stdout, helper.stderr):
        assert stream is not None
        with contextlib.suppress(OSError):
            stream.close()
