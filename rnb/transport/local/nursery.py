"""The process that others are forked from: it has imported what all of them need, so they start at once.

It is Python's fork server, which imports this module first. It must never use CUDA, and starts no thread:
neither survives a fork. Those that are forked from it may, as if they had been spawned: CUDA reads the
environment, and with it the GPUs and the MPS daemon to use, when a process first uses it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

_FOLDER = "RNB_NURSERY"
"""The environment variable that tells it the folder of its socket."""


def nursery(imported: Sequence[str]) -> ForkServerContext:
    """The context of processes that are forked from one that has imported these modules.

    There is one a process, with the modules of the first call; another call's are imported by each child.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *imported])
    with _about_to_start():
        forkserver.ensure_running()
    _end_with_this_process()
    return context


def begin(environment: dict[str, str], target: Callable[..., None], *args: Any) -> None:
    """The main function of a forked process: what is the driver's own becomes the child's."""
    os.close(_server()._forkserver_alive_fd)  # held by the driver alone, its end is that of the nursery
    os.environ.clear()
    os.environ.update(environment)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else all have the same
    target(*args)


@functools.cache
def _own_folder() -> str:
    """Not that of the process which started this one, as Python has it: the nursery removes its folder."""
    current: Any = multiprocessing.current_process()
    current._config.pop("tempdir", None)
    return str(util.get_temp_dir())


@functools.cache
def _end_with_this_process() -> None:
    atexit.register(_end)


def _end() -> None:
    """Not by asking alone, which one that is stopped would not hear."""
    server = _server()
    if server._forkserver_pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()


def _server() -> Any:
    return forkserver._forkserver


@contextlib.contextmanager
def _about_to_start() -> Iterator[None]:
    os.environ[_FOLDER] = _own_folder()
    resource_tracker.ensure_running()  # which would let signals through again
    # A Ctrl-C before its children ignore it would end them: they inherit that it is held back.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.environ.pop(_FOLDER, None)


def _settle_down(folder: str) -> None:
    """Become the nursery: out of the terminal's reach, and nothing left behind when the driver is killed."""
    gc.disable()  # until the first child has what it needs; see rnb.processes.child
    os.setpgid(0, 0)
    Path("/proc/self/comm").write_text("rnb nursery")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # not reached where the driver kills it


if _FOLDER in os.environ:
    _settle_down(os.environ.pop(_FOLDER))
