"""The frame around a child process: what it inherits, how it reports its end, and when it may go."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rnb.contract.termination import Termination
from rnb.transport.fabric import ControlLine, QueueFull, Stopped


def run_child(
    line: ControlLine,
    body: Callable[[], None],
    *,
    full: Termination,
    environment: Mapping[str, str],
    release: Callable[[], None] | None = None,
) -> None:
    """Run the body of a child process and report how it ended.

    `full` is the reason to give when a queue was full; `environment` are variables to set first; `release`
    lets go of what others could use until now.
    """
    exit_code = 0
    resume_garbage_collection()
    os.environ.update(environment)
    _set_title(f"rnb {multiprocessing.current_process().name}")
    _ignore_interrupts()
    try:
        body()
    except Stopped:
        pass
    except QueueFull as error:
        line.stop.raise_flag(full)
        line.tell("queue_full", str(error))
    except BaseException as error:
        exit_code = 1
        summary = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        line.tell("failed", (summary, traceback.format_exc()))
        line.stop.raise_flag(Termination.PROCESS_FAILED)
    line.tell("finished")
    line.wait_for_exit()
    if release is not None:
        release()
    if exit_code:
        raise SystemExit(exit_code)


def resume_garbage_collection() -> None:
    """Collect from here on, but never look at what is there by now: modules, which stay anyway.

    A program that imports much turns collecting off first (benchmark.py): it took a third of the start-up.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """A process started inside gets no Ctrl-C before it ignores them; the driver ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _set_title(title: str) -> None:
    """What ps and top show for this process; Linux keeps 15 bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(title[:15])
