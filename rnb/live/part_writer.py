"""The process that writes what a pipeline has served, a run folder after the other.

    logs/<stamp>-serve-<name>/part-0001/, part-0002/, …

It is a process of its own, since to put columns together and to write them would hold up the event loop, and
it writes what it has when the server is killed. It is handed a ledger at a time; a part is several.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rnb.live.ledger import Ledger
from rnb.live.part import Origin, run_of
from rnb.observe import provenance
from rnb.processes.child import ignore_interrupts, interrupts_held_back, resume_garbage_collection, set_title
from rnb.record.run_folder import RunFolderError, write
from rnb.transport.clock import LocalClock
from rnb.transport.fabric import Fabric

MOST_WAITING = 100
"""Ledgers that may wait for a slow disk; memory must not grow with it."""
NICENESS = 10
"""Serving comes first."""
END_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What the process is told."""

    folder: Path
    origin: Origin
    keep: int | None
    """How many of the last parts are kept; None: all."""


class PartWriter:
    """The server's side."""

    def __init__(self, fabric: Fabric, keeping: Keeping, *, warn: Callable[[str], None]) -> None:
        """`warn`: is called with a line, in a thread of its own."""
        self._keeping, self._warn = keeping, warn
        self._waiting: queue.Queue[tuple[Ledger | None, bool] | None] = queue.Queue()
        self._connection, theirs = fabric.pipe()
        self._process = fabric.process(name="parts", target=write_parts, args=(theirs, keeping))
        with interrupts_held_back():
            self._process.start()
        theirs.close()
        self._num_left_out = 0
        self._threads = [
            threading.Thread(target=run, name=run.__name__, daemon=True) for run in (self._send, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def hand_over(self, ledger: Ledger, *, is_last: bool) -> None:
        """The next requests of a part, and whether it ends with them. Nobody may change them any more."""
        if self._waiting.qsize() >= MOST_WAITING:
            self._num_left_out += ledger.num_requests
        else:
            self._waiting.put((ledger, is_last))

    def end(self) -> None:
        """Have the last part written, and wait for that. May be called twice."""
        self._waiting.put(None)
        for thread in self._threads:
            thread.join(END_TIMEOUT_S)
        self._process.join(END_TIMEOUT_S)
        if self._process.exitcode is None:
            self._warn(f"{self._keeping.folder}: the last part is not written: the disk is slow")
            self._process.kill()

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # it is gone: `_listen` says so
            while (told := self._waiting.get()) is not None:
                self._connection.send(told)
                self._tell_what_is_left_out()
        with contextlib.suppress(OSError):
            self._connection.send(None)

    def _tell_what_is_left_out(self) -> None:
        if self._num_left_out and self._waiting.empty():
            self._warn(f"{self._keeping.folder}: {self._num_left_out} requests left out, as the disk is slow")
            self._num_left_out = 0

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._warn(self._connection.recv())
        self._process.join()
        if self._process.exitcode:
            self._warn(f"{self._keeping.folder}: what is served is not kept any more: its process has died")


def write_parts(connection: Connection, keeping: Keeping) -> None:
    """The main function of the process."""
    ignore_interrupts()
    os.nice(NICENESS)
    set_title("rnb parts")
    resume_garbage_collection()
    parts, ledgers = _Parts(keeping), list[Ledger]()
    told: Any = True
    while told is not None:
        try:
            told = connection.recv()
        except (EOFError, OSError):  # the server was killed
            told = None
        ledger, is_last = told or (None, True)
        if ledger is not None and ledger.num_requests:
            ledgers.append(ledger)
        if is_last and ledgers:
            problem = parts.write(ledgers)
            ledgers.clear()
            if problem:
                with contextlib.suppress(OSError):
                    connection.send(problem)
    connection.close()


class _Parts:
    """The folders."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping, self._clock = keeping, LocalClock()
        self._num_parts = 0
        self._kept: list[Path] = []

    def write(self, ledgers: list[Ledger]) -> str:
        """Write a part; what went wrong, in a line."""
        origin = self._keeping.origin
        if not self._num_parts:
            origin.meta.provenance.update(provenance.collect())
        self._num_parts += 1
        part = self._keeping.folder / f"part-{self._num_parts:04}"
        try:
            part.mkdir(parents=True)
            write(run_of(ledgers, origin, epoch_offset_ns=self._clock.epoch_offset_ns()), part)
        except (RunFolderError, OSError) as error:
            shutil.rmtree(part, ignore_errors=True)  # half of one is no run folder, and a disk may be full
            if isinstance(error, OSError):
                return f"{part}: cannot be written: {error.strerror}"
            return str(error)
        self._kept.append(part)
        while self._keeping.keep is not None and len(self._kept) > self._keeping.keep:
            shutil.rmtree(self._kept.pop(0), ignore_errors=True)
        return ""
