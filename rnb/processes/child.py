"""The frame around a child process: what it inherits, how it reports its end, and when it may go."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rnb.contract.termination import Termination
from rnb.transport.fabric import ControlLine, QueueFull, Stopped

_PR_SET_PDEATHSIG = 1


def run_child(
    line: ControlLine,
    body: Callable[[], None],
    *,
    full: Termination,
    environment: Mapping[str, str],
    release: Callable[[], None] | None = None,
    is_replaceable: bool = False,
) -> None:
    """Run the body of a child process and report how it ended.

    `full` is the reason to give when a queue was full; `environment` are variables to set first; `release`
    lets go of what others could use until now; `is_replaceable`: see `report_end`.
    """
    exit_code = 0
    resume_garbage_collection()
    if multiprocessing.parent_process() is not None:
        depend_on_the_driver()
    os.environ.update(environment)
    set_title(f"rnb {multiprocessing.current_process().name}")
    ignore_interrupts()
    try:
        body()
    except BaseException as error:
        exit_code = 0 if isinstance(error, Stopped | QueueFull) else 1
        report_end(line, error, full=full, is_replaceable=is_replaceable)
    line.tell("finished")
    line.wait_for_exit()
    if release is not None:
        release()
    if exit_code:
        raise SystemExit(exit_code)


def report_end(
    line: ControlLine, error: BaseException, *, full: Termination, is_replaceable: bool = False
) -> None:
    """Tell the driver why the body ends, and stop the run; the driver keeps what it is told first.

    Whoever may have to wait before the body can end, for other threads say, calls it before that. A process
    that is replaceable ends at once instead, as if it had been killed: whether the run goes on the driver
    knows.
    """
    if isinstance(error, Stopped):
        return
    if isinstance(error, QueueFull):
        line.tell("queue_full", str(error))
        line.stop.raise_flag(full)
        return
    summary = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    line.tell("failed", (summary, "".join(traceback.format_exception(error))))
    if is_replaceable:
        sys.stderr.flush()
        os._exit(1)
    line.stop.raise_flag(Termination.PROCESS_FAILED)


def depend_on_the_driver() -> None:
    """Be killed when the driver is, even in the middle of a call; and leave stdout to it alone.

    What a step starts is in this process's group, which the driver's guard ends.
    """
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    driver = multiprocessing.parent_process()
    if driver is not None and not driver.is_alive():  # since before that call
        os._exit(1)
    os.dup2(2, 1)  # what a step prints goes to stderr


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


def ignore_interrupts() -> None:
    """In a process that was started while they were held back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def set_title(title: str) -> None:
    """What ps and top show for this process; Linux keeps 15 bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(title[:15])
