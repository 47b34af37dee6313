"""How much memory a replica holds after each of its calls, and what happens where that is too much."""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnb.contract.device import Device
from rnb.processes.intake import Piece
from rnb.transport.clock import now_ns
from rnb.transport.fabric import Log

MB = 1_000_000
Reading = Callable[[], tuple[int, int]]
"""Bytes held now, and at most so far."""


class MemoryLimitExceeded(RuntimeError):
    """A replica on the CPU holds more than its step may: one line."""


class Sample(NamedTuple):
    """After one call of a replica."""

    at_ns: int
    pid: int
    request_id: int
    """The first of the call's."""
    num_requests: int
    num_rows: int
    """Of the call's first input tensor; 0 without one."""
    num_pixels: int
    """Of the largest picture that a request of the call came with; 0 where no step has said it."""
    held_bytes: int
    peak_bytes: int
    """On a GPU that of the call, on the CPU that of the process so far."""


_SAMPLE = struct.Struct("<8q")


def samples_of(log: Log) -> Iterator[tuple[int, Sample]]:
    """All samples, each with the replica's place in the plan."""
    for number, data in log.read():
        yield number, Sample(*_SAMPLE.unpack(data))


def memory_table(log: Log, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """A column for each field, in the order in which the calls ended; `names`: of the plan's replicas."""
    samples = list(samples_of(log))
    fields = np.array([sample for _, sample in samples], dtype=np.int64).reshape(-1, len(Sample._fields)).T
    replicas = np.array([names[number] for number, _ in samples], dtype=object)
    return {**dict(zip(Sample._fields, fields, strict=True)), "replica": replicas}


class MemoryWatch:
    """Of one worker. What it holds is that of all workers of its process."""

    def __init__(
        self,
        device: Device,
        *,
        log: Log | None,
        number: int,
        limit_mb: int | None,
        outcomes: NDArray[Any],
    ) -> None:
        """`log`: where samples go, for the replica at place `number` of the plan; None: nowhere.

        `outcomes`: of the table of requests, with their width and height.
        """
        self._log, self._number, self._limit_mb, self._outcomes = log, number, limit_mb, outcomes
        self._read = _reading_of_gpu(device) if device.is_gpu else _reading_of_cpu()
        self._is_gpu, self._pid = device.is_gpu, os.getpid()
        if self._is_gpu and limit_mb is not None:
            _limit_gpu(device, limit_mb)

    def look(self, pieces: Sequence[Piece]) -> None:
        """After a call; raises MemoryLimitExceeded."""
        held, peak = self._read()
        if self._log is not None:
            rows = sum(piece.rows[0] for piece in pieces if piece.rows)
            first, pixels = pieces[0].request.id, max(map(self._pixels_of, pieces))
            sample = Sample(now_ns(), self._pid, first, len(pieces), rows, pixels, held, peak)
            self._log.append(self._number, _SAMPLE.pack(*sample))
        if self._limit_mb is not None and not self._is_gpu and held > self._limit_mb * MB:
            raise MemoryLimitExceeded(
                f"holds {held / MB:,.0f} MB after request {pieces[0].request.id}, more than its"
                f" memory_limit_mb of {self._limit_mb}"
            )

    def _pixels_of(self, piece: Piece) -> int:
        outcome = self._outcomes[piece.request.id]
        return int(outcome["width"]) * int(outcome["height"])


def _reading_of_cpu() -> Reading:
    """What the process has for itself, without what it shares, such as slots and libraries.

    Source: proc(5), resident and shared pages of statm; getrusage(2), the most that was resident.
    """
    statm, page = Path("/proc/self/statm"), os.sysconf("SC_PAGE_SIZE")

    def read() -> tuple[int, int]:
        resident, shared = statm.read_bytes().split()[1:3]
        held = (int(resident) - int(shared)) * page
        return held, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    return read


def _reading_of_gpu(device: Device) -> Reading:
    """Of PyTorch's allocator: what tensors hold, without what it keeps for later ones."""
    import torch

    where = device.torch()

    def read() -> tuple[int, int]:
        peak = torch.cuda.max_memory_allocated(where)
        torch.cuda.reset_peak_memory_stats(where)
        return torch.cuda.memory_allocated(where), peak

    return read


def _limit_gpu(device: Device, limit_mb: int) -> None:
    """PyTorch's allocator refuses what goes over it, and the call's requests fail."""
    import torch

    _, total = torch.cuda.mem_get_info(device.torch())
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit_mb * MB / total), device.torch())
