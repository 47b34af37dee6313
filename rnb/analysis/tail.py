"""Who made the tail: which stages took longer for the slowest 1 % of requests than for the median request."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.crossings import nodes_at
from rnb.analysis.statistics import MIN_COUNTS, part_durations_ms
from rnb.contract.events import Stage
from rnb.record.run import Run

SLOWEST_SHARE = 0.01
MEDIAN_SHARES = (0.45, 0.55)
"""The median request stands for those around it: from here to there in the order of latency."""
MIN_REQUESTS = MIN_COUNTS[99]
"""Fewer have no p99 either."""


LEAST_DIFFERENCE_MS = 1e-6
"""Timestamps tell no shorter time."""
IN_CLUSTER, CLUSTERED_SHARE = 0.9, 0.25
"""Clustered are requests of which so many are due within so much of the time."""


@dataclass(frozen=True, kw_only=True)
class StageInTail:
    """What one stage took, on average over each group, and what it has to do with the difference."""

    stage: Stage
    median_ms: float
    slowest_ms: float
    share: float
    """Of the difference between the groups; those of all stages add up to 1. Below 0: the slow were fast."""

    @property
    def difference_ms(self) -> float:
        return self.slowest_ms - self.median_ms


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The shortest time in which nine of ten of the slowest were due, from the start of the phase."""

    start_s: float
    seconds: float
    is_clustered: bool
    """It is short against the time in which all were due."""


@dataclass(frozen=True, kw_only=True)
class NodeInTail:
    """A step on one of its nodes, and what it had of the requests: of the slowest, and of all."""

    step: int
    node: int
    share_of_slowest: float
    share_of_all: float


@dataclass(frozen=True, kw_only=True)
class Tail:
    """The slowest requests against the median request, by the mean of each group."""

    num_slowest: int
    num_median: int
    threshold_ms: float
    """The least latency among the slowest."""
    cluster: Cluster
    stages: tuple[StageInTail, ...]
    """In the order in which a request meets them; they add up to the latency."""
    node: NodeInTail | None = None
    """Which has most more of the slowest than of all; None of a run on one machine."""

    @property
    def median_ms(self) -> float:
        return math.fsum(stage.median_ms for stage in self.stages)

    @property
    def slowest_ms(self) -> float:
        return math.fsum(stage.slowest_ms for stage in self.stages)


def attribute_tail(run: Run) -> Tail | None:
    """The tail of the measured requests; None where they are too few, or all take as long."""
    reached_all = np.minimum.reduce(list(run.times.values())) > 0
    rows = np.flatnonzero(run.finished & reached_all)
    if len(rows) < MIN_REQUESTS:
        return None
    latency_ms = run.latency_ms[rows]
    order = np.argsort(latency_ms, kind="stable")
    slowest = order[-math.ceil(SLOWEST_SHARE * len(order)) :]
    first, last = (math.floor(share * len(order)) for share in MEDIAN_SHARES)
    median = order[first:last]
    if latency_ms[slowest].mean() - latency_ms[median].mean() < LEAST_DIFFERENCE_MS:
        return None
    return Tail(
        num_slowest=len(slowest),
        num_median=len(median),
        threshold_ms=float(latency_ms[slowest[0]]),
        cluster=_cluster(run, rows[slowest]),
        stages=_compare(_mean_stages_ms(run, rows[median]), _mean_stages_ms(run, rows[slowest])),
        node=_node(run, rows, rows[slowest]),
    )


def _node(run: Run, rows: NDArray[np.intp], slowest: NDArray[np.intp]) -> NodeInTail | None:
    served = {step: nodes_at(run, step) for step in range(run.num_steps) if run.meta.nodes}
    found = [
        NodeInTail(
            step=step,
            node=node["node"],
            share_of_slowest=float(np.mean(nodes[slowest] == node["node"])),
            share_of_all=float(np.mean(nodes[rows] == node["node"])),
        )
        for step, nodes in served.items()
        for node in run.meta.nodes
    ]
    return max(found, key=lambda one: one.share_of_slowest - one.share_of_all, default=None)


def _cluster(run: Run, slowest: NDArray[np.intp]) -> Cluster:
    due_s = (run.due_ns - run.window_ns[0]) / 1e9
    slow_s, all_s = np.sort(due_s[slowest]), float(np.ptp(due_s[run.is_measured]))
    num_inside = math.ceil(IN_CLUSTER * len(slow_s))
    lengths_s = slow_s[num_inside - 1 :] - slow_s[: len(slow_s) - num_inside + 1]
    first = int(np.argmin(lengths_s))
    seconds = float(lengths_s[first])
    return Cluster(
        start_s=float(slow_s[first]), seconds=seconds, is_clustered=seconds < CLUSTERED_SHARE * all_s
    )


def _mean_stages_ms(run: Run, rows: NDArray[np.intp]) -> dict[Stage, float]:
    return {stage: float(values.mean()) for stage, values in part_durations_ms(run, rows).items()}


def _compare(median_ms: dict[Stage, float], slowest_ms: dict[Stage, float]) -> tuple[StageInTail, ...]:
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
