"""How long things take in a simulation."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from rnb.pipeline.plan import ReplicaPlan

NUM_QUANTILES = 512


class ServiceTimes(Protocol):
    """What a simulation asks about the steps. The same request gets the same answer in every placement
    (common random numbers), so that two placements differ by what they are and not by luck."""

    def rows_of(self, request: int) -> int:
        """How many rows, clips of a video say, the first step makes of a request."""

    def call_ns(self, replica: ReplicaPlan, rows: int, request: int) -> int:
        """How long a call takes whose requests have so many rows in all; `request` is the first of them."""


class Samples:
    """A distribution as measured: drawn from by a uniform number, so that equal numbers give equal ranks."""

    __slots__ = ("mean", "quantiles")

    def __init__(self, values: ArrayLike) -> None:
        """`values`: at least one."""
        found = np.asarray(values, dtype=np.float64)
        if found.size > NUM_QUANTILES:
            # Means of slices of equal size: they keep the mean, which quantiles at points do not.
            found = np.array([part.mean() for part in np.array_split(np.sort(found), NUM_QUANTILES)])
        self.quantiles: list[float] = np.sort(found).tolist()
        self.mean = float(found.mean())

    def draw(self, uniform: float) -> float:
        return self.quantiles[int(uniform * len(self.quantiles))]


NOTHING = Samples([0.0])


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the runner adds around the calls of a step, in ns."""

    wake: Samples = NOTHING
    """From when a message is put until a worker that waits for one has it."""
    prepare: Samples = NOTHING
    """From when a worker has all of a call's messages until the call begins."""
    hand_on: Samples = NOTHING
    """From the end of a call until its message is put: the copy into a slot, the put."""
    rest: Samples = NOTHING
    """From then on until the worker can take its next message."""


FREE = Costs()


class Lots(NamedTuple):
    """What the costs of each request are drawn with: numbers from 0 to 1, others for each cost, as who wakes
    up late need not hand on late, too."""

    wake: Sequence[float]
    prepare: Sequence[float]
    hand_on: Sequence[float]
    rest: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class SampledTimes:
    """Service times that were measured: samples by step, device and rows of the call."""

    samples: Mapping[tuple[int, bool], Mapping[int, Samples]]
    """By step and whether it was on a GPU, then by rows in the call; in ns."""
    rows: Sequence[int]
    """Of each request; those of the profile in turn where there are more requests."""
    uniforms: Mapping[int, Sequence[float]]
    """By step: of each request."""
    inputs: Sequence[Hashable] = ()
    """What tells the inputs of requests apart, say their pixels; as `rows`. Empty: nothing does."""
    of_inputs: Mapping[tuple[int, bool, Any], Mapping[int, Samples]] = field(default_factory=dict)
    """The samples of those alone, by step, whether it was on a GPU, and input."""
    _known: dict[Any, list[int]] = field(default_factory=dict)

    @classmethod
    def drawn(
        cls,
        samples: Mapping[tuple[int, bool], Mapping[int, Samples]],
        rows: Sequence[int],
        *,
        num_requests: int,
        seed: int,
        inputs: Sequence[Hashable] = (),
        of_inputs: Mapping[tuple[int, bool, Any], Mapping[int, Samples]] = MappingProxyType({}),
    ) -> SampledTimes:
        """With random numbers from a seed."""
        steps = {step for step, _ in samples}
        return cls(
            samples=samples,
            rows=rows,
            uniforms={step: uniforms(num_requests, seed, step) for step in steps},
            inputs=inputs,
            of_inputs=of_inputs,
        )

    def rows_of(self, request: int) -> int:
        return self.rows[request % len(self.rows)]

    def call_ns(self, replica: ReplicaPlan, rows: int, request: int) -> int:
        key: Any = (replica.step, replica.device.is_gpu)
        of_rows = self.samples[key]
        if self.of_inputs:
            narrow = (*key, self.inputs[request % len(self.inputs)])
            if narrow in self.of_inputs:
                key, of_rows = narrow, self.of_inputs[narrow]
        uniform = self.uniforms[replica.step][request]
        if rows in of_rows:
            return int(of_rows[rows].draw(uniform))
        known = self._known.get(key) or self._known.setdefault(key, sorted(of_rows))
        return max(0, int(_between(known, of_rows, rows, uniform)))


@functools.lru_cache(maxsize=256)
def uniforms(count: int, *seed: int) -> list[float]:
    """Numbers from 0 to 1, drawn from a seed."""
    drawn: list[float] = np.random.Generator(np.random.PCG64(list(seed))).random(count).tolist()
    return drawn


def _between(known: Sequence[int], of_rows: Mapping[int, Samples], rows: int, uniform: float) -> float:
    """On the line through the two nearest numbers of rows that were measured; beyond them, in proportion
    upwards from the largest one."""
    if len(known) == 1:
        return of_rows[known[0]].draw(uniform) * max(1.0, rows / known[0])
    right = min(max(1, bisect.bisect(known, rows)), len(known) - 1)
    low, high = known[right - 1], known[right]
    below, above = of_rows[low].draw(uniform), of_rows[high].draw(uniform)
    return below + (above - below) * (rows - low) / (high - low)
