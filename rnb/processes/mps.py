"""CUDA MPS: lets several processes compute on one GPU at the same time instead of taking turns.

The daemon is this run's own: its pipe and log folders are temporary, and it ends with the run, or with the
driver if that is killed. A daemon that somebody else started is used as it is and never touched.
Source: NVIDIA's manual "Multi-Process Service".
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rnb.pipeline.config import ConfigError
from rnb.pipeline.plan import Plan

CONTROL = "nvidia-cuda-mps-control"
DEFAULT_PIPE_FOLDER = "/tmp/nvidia-mps"
PIPE, LOG = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
START_TIMEOUT_S = 10.0
QUIT_TIMEOUT_S = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Sharing:
    """How the processes of a run share GPUs."""

    state: str
    """'on', 'external', or 'off' with the reason, for the run folder."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What a process needs to find the daemon."""


def check_sharing(plan: Plan, mode: str) -> None:
    """Raises ConfigError when `mode` is 'on' and there is no MPS to be had."""
    reason = _why_not(plan, mode)
    if mode == "on" and reason is not None:
        raise ConfigError("--mps", f"on: {reason}")


@contextlib.contextmanager
def shared_gpus(plan: Plan, mode: str) -> Iterator[Sharing]:
    """Start a private daemon when `mode` ('auto', 'on' or 'off') and the plan call for one.

    Raises ConfigError when there is none to be had that was asked for, or it does not start.
    """
    check_sharing(plan, mode)
    reason = _why_not(plan, mode)
    if reason is None and _is_external():
        yield Sharing("external")
    elif reason is None:
        with _daemon() as environment:
            yield Sharing("on", environment)
    else:
        yield Sharing(f"off: {reason}")


def _why_not(plan: Plan, mode: str) -> str | None:
    if mode == "off":
        return "as asked"
    gpus = [replica.device.index for replica in plan.replicas if replica.device.is_gpu]
    if len(gpus) == len(set(gpus)):
        return "no GPU has several processes"
    if not _is_external() and shutil.which(CONTROL) is None:
        return f"{CONTROL} is not installed, so processes take turns on a GPU"
    return None


def _is_external() -> bool:
    folder = os.environ.get(PIPE, DEFAULT_PIPE_FOLDER)
    return os.path.exists(os.path.join(folder, "control"))


@contextlib.contextmanager
def _daemon() -> Iterator[Mapping[str, str]]:
    folder = tempfile.mkdtemp(prefix="rnb-mps-")
    settings = {PIPE: folder, LOG: folder}
    # The daemon must see all GPUs; its clients choose among them.
    environment = {
        key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"
    } | settings
    try:
        with _started(environment) as daemon:
            _wait_until_up(daemon, folder)
            yield settings
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _started(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        daemon = subprocess.Popen(
            [CONTROL, "-f"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_the_driver,
        )
    except OSError as error:
        raise _did_not_start(error.strerror) from error
    try:
        yield daemon
    finally:
        _quit(daemon, environment)


def _end_with_the_driver() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_up(daemon: subprocess.Popen[bytes], folder: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not os.path.exists(os.path.join(folder, "control")):
        if daemon.poll() is not None:
            raise _did_not_start(f"it ended with exit status {daemon.returncode}")
        if time.monotonic() > deadline:
            raise _did_not_start(f"nothing after {START_TIMEOUT_S:g} s")
        time.sleep(0.01)


def _did_not_start(reason: str | None) -> ConfigError:
    return ConfigError("--mps", f"{CONTROL} did not start ({reason}); --mps off goes on without it")


def _quit(daemon: subprocess.Popen[bytes], environment: Mapping[str, str]) -> None:
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        subprocess.run(
            [CONTROL],
            input=b"quit -t 1\n",
            env=environment,
            capture_output=True,
            timeout=QUIT_TIMEOUT_S,
            check=False,
        )
    try:
        daemon.wait(QUIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
