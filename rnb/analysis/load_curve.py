"""Runs of one pipeline at different rates: what was offered, what was served, and up to where it kept up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from rnb.record.run import Run

KEPT_UP = 0.95
"""The least share of the offered rate that a pipeline which keeps up finishes."""
RATE_FLAGS = frozenset({"mean_interval_ms", "videos", "duration", "seed", "warmup"})
"""In these flags the runs of one curve may differ."""


@dataclass(frozen=True, kw_only=True)
class LoadPoint:
    """One run."""

    offered_per_s: float
    served_per_s: float

    @property
    def kept_up(self) -> bool:
        return self.served_per_s >= KEPT_UP * self.offered_per_s


def offered_per_s(run: Run) -> float | None:
    """The rate at which the measured requests were due; None where all came at once, or it is not known."""
    if "arrival_ns" not in run.requests:
        return None
    arrivals_ns = run.requests["arrival_ns"][run.is_measured]
    span_s = float(np.ptp(arrivals_ns)) / 1e9 if len(arrivals_ns) else 0.0
    return (len(arrivals_ns) - 1) / span_s if span_s > 0 else None


def knee(points: Sequence[LoadPoint]) -> LoadPoint | None:
    """The highest offered rate at which the pipeline kept up, with it and all lower ones.

    None where the lowest one was too much already, and where none was: then the knee is further out.
    """
    in_order = sorted(points, key=lambda point: point.offered_per_s)
    below = list(takewhile(lambda point: point.kept_up, in_order))
    return below[-1] if below and len(below) < len(in_order) else None
