"""How calls that run at once slow each other down: on one device, and in threads of one process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnb.planner.key import Key
from rnb.planner.observations import Numbers

LEAST_GAIN = 0.1
"""A cause must explain so much of what is left unexplained without it."""
QUICK = 25
"""This percentile must be slower, too: what calls share slows all of them down, and other work on the
machine, which stops a few of them for a while, does not."""
LEAST_ERRORS = 3.5
"""And must be seen so many standard errors clear of nothing: a few calls that had to wait for a core, beside
many others or not, explain nothing."""
STEPS: list[float] = np.linspace(0, 1, 51).tolist()
"""The values that are tried."""


class Slowing(NamedTuple):
    """How much of what it shares a call takes while it runs alone."""

    device: float = 0.0
    """Of its device: beyond 1 / device of them at once all slow down alike; 0: none was seen to."""
    lock: float = 0.0
    """Of its time it holds its process's lock (Python's GIL): the same for the workers of a replica."""
    crowd: float = 0.0
    """While all cores of the machine are in use it takes so much longer, and in proportion while some are:
    two hardware threads of a core slow each other down, as do all that use its memory."""

    def of(self, busy: Any, workers: Any, crowd: Any) -> Any:
        """How many times as long a call takes with so many, itself included, on its device, in replicas of
        so many workers, while so much of the cores is in use."""
        most = np.maximum(busy * self.device, np.minimum(busy, workers) * self.lock)
        return np.maximum(1.0, most) * (1 + self.crowd * crowd)


def slowing_of(calls: Mapping[Key, Numbers]) -> Slowing:
    """What explains best how long calls of the same rows and pictures took with more or fewer beside them.

    By weighted least squares of the relative errors. A cause counts only where chance does not explain as
    much and quick calls are slower as well, and lock and cores only where they explain more than the device
    alone, which needs runs with few workers and with many, with few cores in use and with many.
    """
    if not calls:
        return Slowing()
    alike: dict[Any, int] = {}
    group = np.array([alike.setdefault((key.rows, key.pictures), len(alike)) for key in calls])
    busy, workers, crowd = (
        np.array([getattr(key, name) for key in calls]) for name in ("busy", "workers", "crowd")
    )
    took = np.array([np.mean(values) for values in calls.values()])
    quick = np.array([np.percentile(values, QUICK) for values in calls.values()])
    counts = np.array([len(values) for values in calls.values()])
    spread = np.array([np.var(values) for values in calls.values()]) / took**2
    usual = np.sum(counts * spread) / max(1, counts.sum() - len(calls))
    error = np.sqrt((spread + usual / counts) / counts)

    def unexplained(slowing: Slowing) -> float:
        slowdown = slowing.of(busy, workers, crowd)
        alone = np.bincount(group, counts * took / slowdown) / np.bincount(group, counts)
        return float(np.sum(counts * (took / (alone[group] * slowdown) - 1) ** 2))

    def unlike(slowing: Slowing) -> float:
        """How far the quick calls are from taking the same time each, but for the slowdown."""
        alone = np.log(quick / slowing.of(busy, workers, crowd))
        return sum(_deviation(alone[group == one], counts[group == one]) for one in alike.values())

    def better(found: Slowing, others: Iterable[Slowing]) -> Slowing:
        best = min(others, key=unexplained)
        before = found.of(busy, workers, crowd)
        more = np.log(best.of(busy, workers, crowd) / before)
        weight = counts * (more - (np.bincount(group, counts * more) / np.bincount(group, counts))[group])
        is_clear = np.sum(weight * np.log(took / before)) > LEAST_ERRORS * np.linalg.norm(weight * error)
        is_more = unexplained(best) < (1 - LEAST_GAIN) * unexplained(found)
        is_common = unlike(best) < (1 - LEAST_GAIN) * unlike(found)
        return best if is_clear and is_more and is_common else found

    found = better(Slowing(), (Slowing(device=share) for share in STEPS))
    for cause in ("lock", "crowd"):
        tried = [found._replace(**{"device": share, cause: value}) for share in STEPS for value in STEPS[::2]]
        found = better(found, tried)
    return found


def _deviation(values: NDArray[np.float64], weights: Numbers) -> float:
    """From their median, all together."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    median = values[order][np.searchsorted(total, total[-1] / 2)]
    return float(np.sum(weights * np.abs(values - median)))
