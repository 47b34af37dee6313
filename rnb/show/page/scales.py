"""From values to places on an axis, 0 at its low end and 1 at its high one, and the ticks between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnb.show.page.wording import in_unit

NUM_TICKS = 5
_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Scale:
    kind: Literal["linear", "log", "percentile"]
    low: float
    high: float
    unit: str
    """ms, s, %, or a suffix such as /s."""
    ticks: tuple[float, ...]
    names: tuple[str, ...] = ()
    """What stands at the ticks, where it is not their value."""

    def positions(self, values: Any) -> NDArray[np.float64]:
        """The place of each value; what is beyond an end is put on it."""
        low, high = self._warped(np.array([self.low, self.high]))
        with np.errstate(divide="ignore"):
            places = (self._warped(np.asarray(values, dtype=np.float64)) - low) / (high - low)
        clipped: NDArray[np.float64] = np.clip(places, 0.0, 1.0)
        return clipped

    def position(self, value: float) -> float:
        return float(self.positions([value])[0])

    def label(self, tick: float) -> str:
        if self.names:
            return self.names[self.ticks.index(tick)]
        return f"p{100 * tick:.5g}" if self.kind == "percentile" else in_unit(tick, self.unit)

    def _warped(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.kind == "log":
            return np.log10(np.maximum(values, self.low))
        return -np.log10(np.maximum(1.0 - values, 1e-12)) if self.kind == "percentile" else values


def linear(high: float, unit: str) -> Scale:
    """From 0 to the first round number that `high` does not exceed."""
    step = _nice_step(high / NUM_TICKS)
    ticks = tuple(round(index * step, 12) for index in range(max(1, math.ceil(high / step - 1e-9)) + 1))
    return Scale(kind="linear", low=0.0, high=ticks[-1], unit=unit, ticks=ticks)


def exactly(low: float, high: float, unit: str) -> Scale:
    """An axis that ends where the data does, as time does; ticks at round numbers."""
    high = high if high > low else low + 1.0
    step = _nice_step((high - low) / NUM_TICKS)
    first = math.ceil(low / step - 1e-9)
    ticks = tuple(round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1))
    return Scale(kind="linear", low=low, high=high, unit=unit, ticks=ticks)


def logarithmic(low: float, high: float, unit: str) -> Scale:
    """Between the round numbers (1, 2, 5 times a power of ten) around the data; ticks at most ten."""
    low = max(low, high * 1e-9, 1e-12)
    bottom, top = _round_below(low), _round_above(max(high, low * 1.0001))
    powers = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    digits = (1, 2, 5) if len(powers) <= 4 else (1,)
    found = [digit * 10.0**power for power in powers for digit in digits]
    ticks = [tick for tick in found if bottom * 0.999 <= tick <= top * 1.001]
    every = math.ceil(len(ticks) / 10)
    return Scale(kind="log", low=bottom, high=top, unit=unit, ticks=tuple(ticks[::every]))


def percentiles(num_nines: int) -> Scale:
    """Fractions from 0 up to 0.9…9; each nine has the same room, so that the tail is seen."""
    nines = max(1, num_nines)
    ticks = [0.0, 0.5, *(1.0 - 10.0**-nine for nine in range(1, nines + 1))]
    between = [0.75] * (nines <= 2) + [0.95] * (2 <= nines <= 3)
    return Scale(
        kind="percentile", low=0.0, high=1.0 - 10.0**-nines, unit="", ticks=tuple(sorted(ticks + between))
    )


def wide(low: float, high: float, unit: str) -> Scale:
    """From 0, or logarithmic where the largest value would hide the small ones."""
    return logarithmic(low, high, unit) if low > 0 and high / low > 30 else linear(high, unit)


def categories(names: Sequence[str]) -> Scale:
    """A place for each name, at 0, 1, … and half of one around it."""
    ticks = tuple(map(float, range(len(names))))
    return Scale(kind="linear", low=-0.5, high=len(names) - 0.5, unit="", ticks=ticks, names=tuple(names))


def _nice_step(least: float) -> float:
    return _round_above(least) if least > 0 else 1.0


def _round_above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))


def _round_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return next(step * power for step in reversed(_STEPS) if step * power <= value * (1 + 1e-9))
