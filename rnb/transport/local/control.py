"""The line between the driver and one child process.

    child  -> driver   prepared (slot handle), phases (of the start-up), ready, seen (by a probe), finished,
                       or failed (traceback) or queue_full (name)
    driver -> child    handles (of the slots it reads), start (time), exit

Each child has a pipe of its own, so that one killed in the middle of a message harms no other.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from rnb.transport.fabric import POLL_S, Stop, Stopped


@dataclass(kw_only=True)
class PipeLine:
    """The child's end."""

    connection: Connection
    stop: Stop

    def close(self) -> None:
        """In the driver: the child has its own copy."""
        self.connection.close()

    def tell(self, kind: str, value: Any = None) -> None:
        with contextlib.suppress(OSError):  # the driver is gone; whatever waits next finds out
            self.connection.send((kind, value))

    def wait_for(self, kind: str) -> Any:
        """Wait for a message of the driver; raises Stopped when the run ends first."""
        while True:
            self.stop.check()
            if self.connection.poll(POLL_S):
                received, value = self._receive()
                if received == kind:
                    return value
                raise Stopped  # 'exit' before its time

    def wait_for_exit(self) -> None:
        """Wait until the driver lets go: until then others may read this process's slots."""
        while self._receive()[0] != "exit":
            pass

    def _receive(self) -> tuple[str, Any]:
        try:
            received: tuple[str, Any] = self.connection.recv()
        except (EOFError, OSError):
            return "exit", None
        return received
