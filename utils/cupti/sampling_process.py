"""Samples GPUs from a process of its own, so that nothing that goes wrong there can harm a run beside it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from utils.cupti.bridge import open_cupti
from utils.cupti.errors import CuptiError
from utils.cupti.gpu_sampler import GpuSampler, GpuSamples

Result = TypeVar("Result")

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0

_MPS = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
"""The sampler needs no MPS, and a daemon that ends with the run should not wait for it."""


class SamplingProcess:
    """Samples some GPUs from `start()` to `stop()`. The process gets ready at once, and ends with ours.

    `devices` count within CUDA_VISIBLE_DEVICES.
    """

    def __init__(self, devices: Sequence[int], *, interval_us: int) -> None:
        self._devices = list(devices)
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=sample_gpus, args=(theirs, self._devices, interval_us), name="occupancy", daemon=True
        )
        self._process.start()
        theirs.close()

    def start(self) -> dict[int, str]:
        """Returns once it samples; says why a device cannot be, by device."""
        problems: dict[int, str] | None = self._ask("start", START_TIMEOUT_S)
        return dict.fromkeys(self._devices, "the sampling process ended") if problems is None else problems

    def stop(self) -> tuple[list[GpuSamples], dict[int, str]]:
        """The samples of each device that was sampled, and what went wrong with others. Ends the process."""
        found: tuple[list[GpuSamples], dict[int, str]] | None = self._ask("stop", STOP_TIMEOUT_S)
        self.kill()
        return ([], dict.fromkeys(self._devices, "the sampling process ended")) if found is None else found

    def kill(self) -> None:
        """End the process whatever it does."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _ask(self, what: str, timeout_s: float) -> Any:
        """None where no answer came."""
        try:
            self._connection.send(what)
            return self._connection.recv() if self._connection.poll(timeout_s) else None
        except (EOFError, OSError):
            return None


def sample_gpus(connection: Connection, devices: Sequence[int], interval_us: int) -> None:
    """The main function of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("rnb occupancy")
    for name in _MPS:
        os.environ.pop(name, None)
    with contextlib.suppress(CuptiError):
        open_cupti()  # it takes a while; that it cannot be opened is found again
    with contextlib.suppress(EOFError, OSError):  # the one who asks is gone
        connection.recv()
        samplers = [GpuSampler(device, interval_us=interval_us) for device in devices]
        problems = _each(samplers, GpuSampler.start)[1]
        connection.send(problems)
        connection.recv()
        connection.send(_each([one for one in samplers if one.device not in problems], GpuSampler.stop))


def _each(
    samplers: Sequence[GpuSampler], call: Callable[[GpuSampler], Result]
) -> tuple[list[Result], dict[int, str]]:
    """What the calls return, and for those that fail why, by device."""
    results, problems = [], {}
    for sampler in samplers:
        try:
            results.append(call(sampler))
        except CuptiError as error:
            problems[sampler.device] = str(error)
    return results, problems
