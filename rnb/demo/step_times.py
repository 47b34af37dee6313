"""How long each step took, from what the server's statistics say before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class StepTime(NamedTuple):
    """Means over the requests that were served in between, in ms."""

    name: str
    queue_ms: float
    compute_ms: float


def step_times(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[StepTime]:
    """Of the pipeline as a whole, then of each step; those that served nothing in between are left out.

    Args:
        before, after: `inference_stats` by model, as `Server.statistics` gives them.
    """
    return [
        StepTime(
            name,
            _mean_ms(before[name], now, ("queue",)),
            _mean_ms(before[name], now, ("compute_input", "compute_infer", "compute_output")),
        )
        for name, now in after.items()
        if name in before and now["success"]["count"] > before[name]["success"]["count"]
    ]


def _mean_ms(before: Mapping[str, Any], after: Mapping[str, Any], parts: tuple[str, ...]) -> float:
    count = int(after["success"]["count"] - before["success"]["count"])
    return sum(int(after[part]["ns"] - before[part]["ns"]) for part in parts) / count / 1e6
