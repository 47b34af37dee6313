"""The line between the driver and one child process: what each tells the other, and the end of the child.

    child  -> driver   prepared (slot handle), ready, finished, or failed (traceback) or queue_full (name)
    driver -> child    handles (of the slots it reads), start (time), exit

Each child has a pipe of its own, so that one killed in the middle of a message harms no other.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rnb.queues import QueueFull
from rnb.stop import StopFlag, Stopped, Termination

POLL_S = 0.2


@dataclass(kw_only=True)
class Control:
    """The child's end."""

    connection: Connection
    stop: StopFlag

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


def run_child(
    control: Control,
    body: Callable[[], None],
    *,
    full: Termination,
    release: Callable[[], None] | None = None,
) -> None:
    """Run the body of a child process and report how it ended.

    `full` is the reason to give when a queue was full; `release` lets go of what others could use until now.
    """
    exit_code = 0
    _set_title(f"rnb {multiprocessing.current_process().name}")
    try:
        body()
    except Stopped:
        pass
    except QueueFull as error:
        control.stop.raise_flag(full)
        control.tell("queue_full", str(error))
    except BaseException as error:
        exit_code = 1
        summary = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        control.tell("failed", (summary, traceback.format_exc()))
        control.stop.raise_flag(Termination.PROCESS_FAILED)
    control.tell("finished")
    control.wait_for_exit()
    if release is not None:
        release()
    if exit_code:
        raise SystemExit(exit_code)


def _set_title(title: str) -> None:
    """What ps and top show for this process; Linux keeps 15 bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(title[:15])
