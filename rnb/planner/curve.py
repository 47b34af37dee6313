"""How far a pipeline would go on more GPUs, more cores, or whatever else varies: by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rnb.pipeline.step_type import asking_once
from rnb.planner.ceilings import Ceiling
from rnb.planner.system import LOAD, Predicted, System
from rnb.planner.what_if import WhatIf, supposed, with_other_videos

NEAR = 0.8
"""Of its lowest ceiling: what serves less is held up by something else."""


@dataclass(frozen=True, kw_only=True)
class Point:
    settings: Mapping[str, float]
    cores: float
    predicted: Predicted
    held_up_by: Ceiling
    """The lowest ceiling."""
    then_by: Ceiling | None
    """The next one."""

    num_requests: int
    """Of the simulated run of all requests at once."""

    @property
    def is_at_ceiling(self) -> bool:
        """Else it is held up by what happens between calls: waits for slots, for batches, for the harness."""
        return self.predicted.per_s >= NEAR * self.held_up_by.per_s


@dataclass(frozen=True, kw_only=True)
class Needed:
    """The fewest GPUs that serve a rate at LOAD of what they can; None: not within the curve."""

    rate_per_s: float
    num_gpus: int | None


@dataclass(kw_only=True)
class Curve:
    """Of one what-if."""

    what_if: WhatIf
    points: list[Point] = field(default_factory=list)
    needed: list[Needed] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        points = [
            {
                "settings": dict(point.settings),
                "cores": point.cores,
                **point.predicted._asdict(),
                "ceilings": [one._asdict() for one in (point.held_up_by, point.then_by) if one],
            }
            for point in self.points
        ]
        return {"points": points, "gpus_needed": [asdict(one) for one in self.needed]}


def draw(system: System, what_if: WhatIf, tell: Callable[[Point], None] = lambda point: None) -> Curve:
    """Work its points out, the first one first; of a single one the system as it is comes before it.

    Raises UsageError where that cannot be told.
    """
    with asking_once():
        now, system = system, with_other_videos(system, what_if)
        curve = Curve(what_if=what_if)
        if what_if.varied is None:
            curve.points.append(_point(now, {}))
        for settings in what_if.points():
            curve.points.append(_point(supposed(system, settings), settings))
            tell(curve.points[-1])
        if what_if.varied == "gpus":
            curve.needed = _needed(system, curve)
        return curve


def _point(system: System, settings: Mapping[str, float]) -> Point:
    lowest, *others = system.ceilings
    return Point(
        settings=settings,
        cores=system.simulator.cores,
        predicted=system.predict(),
        held_up_by=lowest,
        then_by=others[0] if others else None,
        num_requests=system.at_once.num_requests,
    )


def _needed(system: System, curve: Curve) -> list[Needed]:
    """Between the points of the curve by halving, on the assumption that more GPUs serve no less."""
    known = {int(point.settings["gpus"]): point.predicted.per_s for point in curve.points}
    fixed = curve.points[0].settings

    def serves(num_gpus: int) -> float:
        if num_gpus not in known:
            point = {**fixed, "gpus": float(num_gpus)}
            known[num_gpus] = supposed(system, point).per_s
        return LOAD * known[num_gpus]

    rates = curve.what_if.rates or _round_rates([LOAD * per_s for per_s in known.values()])
    counts = sorted(known)
    return [Needed(rate_per_s=rate, num_gpus=_fewest(rate, counts, serves)) for rate in rates]


def _fewest(rate_per_s: float, counts: Sequence[int], serves: Callable[[int], float]) -> int | None:
    high = next((count for count in counts if serves(count) >= rate_per_s), None)
    if high is None or high == counts[0]:
        return high
    low = counts[counts.index(high) - 1]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if serves(middle) >= rate_per_s else (middle, high)
    return high


def _round_rates(served_per_s: Sequence[float]) -> list[float]:
    """The powers of ten within the curve; twice and five times such a one where there is none."""
    low, high = min(served_per_s), max(served_per_s)
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    found = [rate for rate in powers if low <= rate <= high]
    return found or [rate for power in powers for rate in (2 * power, 5 * power) if low <= rate <= high]
