"""The thread that writes what a pipeline has served, a run folder after the other.

logs/<stamp>-serve-<name>/part-0001/, part-0002/, …
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from rnb.live.ledger import Ledger
from rnb.live.part import Origin, run_of
from rnb.record.run_folder import RunFolderError, write
from rnb.transport.fabric import Clock

MOST_WAITING_BYTES = 256 << 20
"""What may wait for a slow disk; memory must not grow with it."""


class PartWriter:
    """Of one pipeline."""

    def __init__(
        self,
        folder: Path,
        *,
        origin: Callable[[], Origin],
        clock: Clock,
        keep: int | None,
        warn: Callable[[str], None],
    ) -> None:
        """
        Args:
            origin: finds out, in the thread, what all parts have in common.
            keep: how many of the last parts are kept; None: all.
            warn: is called in the thread.
        """
        self.folder = folder
        self._make_origin, self._clock, self._keep, self._warn = origin, clock, keep, warn
        self._waiting: queue.Queue[Ledger | None] = queue.Queue()
        self._waiting_bytes = 0
        self._parts: list[Path] = []
        self._num_parts = 0
        self._thread = threading.Thread(target=self._run, name="parts", daemon=True)
        self._thread.start()

    def write(self, ledger: Ledger) -> None:
        """Write a part when its turn comes; nobody may change it any more."""
        if self._waiting_bytes > MOST_WAITING_BYTES:
            self._warn(f"{self.folder}: {ledger.num_requests} requests are left out, as the disk is slow")
            return
        self._waiting_bytes += ledger.memory_bytes
        self._waiting.put(ledger)

    def end(self) -> None:
        """Write what waits, and end. May be called twice."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        origin = self._make_origin()
        while (ledger := self._waiting.get()) is not None:
            try:
                self._write(ledger, origin)
            except RunFolderError as error:
                self._warn(str(error))
            except OSError as error:
                self._warn(f"{self.folder}: a part cannot be written: {error.strerror}")
            self._waiting_bytes -= ledger.memory_bytes
            del ledger  # it may be large, and the next one is long in coming

    def _write(self, ledger: Ledger, origin: Origin) -> None:
        self._num_parts += 1
        part = self.folder / f"part-{self._num_parts:04}"
        part.mkdir(parents=True)
        write(run_of(ledger, origin, epoch_offset_ns=self._clock.epoch_offset_ns()), part)
        self._parts.append(part)
        while self._keep is not None and len(self._parts) > self._keep:
            shutil.rmtree(self._parts.pop(0), ignore_errors=True)
