"""Who made the tail: which stages took longer for the slowest 1 % of requests than for the median request."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.statistics import END_TO_END, LATENESS, MIN_COUNTS, SERVICE, align, stage_durations_ms
from rnb.run_folder import Run

SLOWEST_SHARE = 0.01
MEDIAN_SHARES = (0.45, 0.55)
"""The median request stands for those around it: from here to there in the order of latency."""
MIN_REQUESTS = MIN_COUNTS[99]
"""Fewer have no p99 either."""


@dataclass(frozen=True, kw_only=True)
class StageInTail:
    """What one stage took, on average over each group, and what it has to do with the difference."""

    stage: str
    median_ms: float
    slowest_ms: float
    share: float
    """Of the difference between the groups; those of all stages add up to 1. Below 0: the slow were fast."""

    @property
    def difference_ms(self) -> float:
        return self.slowest_ms - self.median_ms


@dataclass(frozen=True, kw_only=True)
class Tail:
    """The slowest requests against the median request, by the mean of each group."""

    num_slowest: int
    num_median: int
    threshold_ms: float
    """The least latency among the slowest."""
    stages: tuple[StageInTail, ...]
    """In the order in which a request meets them; they add up to the latency."""

    @property
    def median_ms(self) -> float:
        return math.fsum(stage.median_ms for stage in self.stages)

    @property
    def slowest_ms(self) -> float:
        return math.fsum(stage.slowest_ms for stage in self.stages)


def attribute_tail(run: Run) -> Tail | None:
    """The tail of the measured requests; None where they are too few, or all take as long."""
    reached_all = np.minimum.reduce([run.times[event] for event in run.events]) > 0
    rows = np.flatnonzero(run.is_measured & (run.requests["status"] == "finished") & reached_all)
    if len(rows) < MIN_REQUESTS:
        return None
    latency_ns = run.ends_ns[rows] - run.times[run.events[0]][rows]
    order = np.argsort(latency_ns, kind="stable")
    slowest = order[-math.ceil(SLOWEST_SHARE * len(order)) :]
    first, last = (math.floor(share * len(order)) for share in MEDIAN_SHARES)
    median = order[first:last]
    if latency_ns[slowest].mean() <= latency_ns[median].mean():
        return None
    return Tail(
        num_slowest=len(slowest),
        num_median=len(median),
        threshold_ms=float(latency_ns[slowest[0]]) / 1e6,
        stages=_compare(_mean_stages_ms(run, rows[median]), _mean_stages_ms(run, rows[slowest])),
    )


def _mean_stages_ms(run: Run, rows: NDArray[np.intp]) -> dict[str, float]:
    """The mean duration of each stage, in the order in which a request meets them."""
    step_names = run.meta.step_names if run.meta else ()
    times = {event: run.times[event][rows] for event in run.events}
    durations = stage_durations_ms(run.events, times, step_names)
    stages = [name for name in durations if name not in (LATENESS, SERVICE, END_TO_END)]
    lateness = [LATENESS] if LATENESS in durations else []
    return {name: float(durations[name].mean()) for name in (*lateness, *stages)}


def _compare(median_ms: dict[str, float], slowest_ms: dict[str, float]) -> tuple[StageInTail, ...]:
    difference_ms = math.fsum(slowest_ms.values()) - math.fsum(median_ms.values())
    return tuple(
        StageInTail(
            stage=stage,
            median_ms=median_ms[stage],
            slowest_ms=slowest_ms[stage],
            share=(slowest_ms[stage] - median_ms[stage]) / difference_ms,
        )
        for stage in median_ms
    )


def tail_table(tail: Tail) -> str:
    """The tail as a text table."""
    header = ["", "median request ms", "slowest 1 % ms", "difference ms", "share"]
    rows = [_row(stage.stage, stage.median_ms, stage.slowest_ms, stage.share) for stage in tail.stages]
    total = _row(END_TO_END, tail.median_ms, tail.slowest_ms, 1.0)
    title = (
        f"Who made the tail: the slowest 1 % ({tail.num_slowest} requests, from {tail.threshold_ms:.3f} ms)"
        f" against the {tail.num_median} around the median"
    )
    return "\n".join([title, *align([header, *rows, total])])


def _row(name: str, median_ms: float, slowest_ms: float, share: float) -> list[str]:
    figures = (median_ms, slowest_ms, slowest_ms - median_ms)
    return [name, *(f"{figure:.3f}" for figure in figures), f"{share:.1%}"]
