"""A stand-in for the bridge: records that a test gives it, and a log of the calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.cupti.errors import CuptiError


class FakeSampler:
    def __init__(self, samples: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
        self.num_overflows = 2
        self._samples = samples

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def take(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return self._samples


class FakeCupti:
    """`passes` maps a metric to how many passes it needs; one that it does not know is an error."""

    def __init__(self, *, passes: dict[str, int] | None = None, table: dict[str, Any] | None = None) -> None:
        self.passes = passes or {}
        self.table = table
        self.calls: list[object] = []
        self.sampler_options: dict[str, int] = {}
        self.samples = (np.empty((0, 2), dtype=np.int64), np.empty((0, 0)))
        self._tracing = False

    def chip_name(self, device: int) -> str:
        return f"chip{device}"

    def num_passes(self, metrics: list[str], *, chip: str, sampling: bool) -> int:
        if unknown := set(metrics) - set(self.passes):
            raise CuptiError(f"no {unknown} on {chip}")
        return max(self.passes[metric] for metric in metrics)

    def PmSampler(self, device: int, metrics: list[str], **options: int) -> FakeSampler:
        self.sampler_options = options
        return FakeSampler(self.samples)

    def initialize(self, *, correlate: bool = False, copies: bool = True) -> None:
        self.calls.append(("initialize", correlate))
        self._tracing = True

    def finalize(self) -> None:
        self.calls.append("finalize")
        self._tracing = False

    def is_tracing(self) -> bool:
        return self._tracing

    @contextmanager
    def region(self, step: str, request: int) -> Iterator[None]:
        self.calls.append(("region", step, request))
        yield

    def kernel_table(self) -> dict[str, Any]:
        assert self.table is not None
        return self.table

    def num_dropped(self) -> int:
        return 3

    def clear(self) -> None:
        self.calls.append("clear")
