"""What share of its device a call takes, from how much calls with neighbours are slowed down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnb.planner.key import Key
from rnb.planner.observations import Numbers

SLOWED = 1.1
"""Calls that take so many times as long with others beside them are slowed down by them."""


def share_of_device(calls: Mapping[Key, Numbers]) -> float | None:
    """What share of its device a call takes: beyond 1 / share of them at once all slow down alike.

    From how much longer calls of the same rows, workers and pictures took with more beside them; None where
    none took longer.
    """
    alike: dict[Any, dict[float, Numbers]] = {}
    for key, values in calls.items():
        alike.setdefault((key.rows, key.workers, key.pictures), {})[key.busy] = values
    shares, weights = [], []
    for of_busy in alike.values():
        least = min(of_busy)
        for busy, values in of_busy.items():
            if busy > least:
                slowdown = float(np.mean(values)) / max(1.0, float(np.mean(of_busy[least])))
                shares += [slowdown / busy] * (slowdown > SLOWED)
                weights += [min(len(values), len(of_busy[least]))] * (slowdown > SLOWED)
    return float(np.average(shares, weights=weights)) if shares else None
