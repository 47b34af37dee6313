"""How much one run, or one group of repeated runs, differs from the reference, and how well that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.estimate import Estimate, mean_of, median_of
from rnb.analysis.pairing import Pairing, Rows
from rnb.analysis.ratio import Ratio, ratio, ratio_of
from rnb.analysis.turns import Timed, difference
from rnb.record.run import Flags, Run


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Differences to the reference."""

    throughput: Ratio
    """Of requests per second."""
    latency: Ratio
    """Of the mean latency."""
    mean_ms: float
    """Change of the mean latency."""
    median_ms: Estimate
    """Paired: the median of the requests' differences; else the difference of the medians."""


@dataclass(frozen=True, kw_only=True)
class RunMeans:
    """What of a run enters the comparison of repeated runs."""

    began_ns: int
    throughput: float
    mean_ms: float
    median_ms: float


def paired_effects(first: Run, other: Run, pairing: Pairing) -> Effects:
    """Of two runs with the same schedule, by request."""
    latencies = first.latency_ms[pairing.first], other.latency_ms[pairing.other]
    gaps = _completion_gaps_ns(first, pairing.first), _completion_gaps_ns(other, pairing.other)
    return Effects(
        # The time that the same work took is what throughput is the inverse of.
        throughput=ratio_of(gaps[0], gaps[1]),
        latency=ratio_of(latencies[1], latencies[0]),
        mean_ms=float(latencies[1].mean() - latencies[0].mean()),
        median_ms=median_of(latencies[1] - latencies[0]),
    )


def unpaired_effects(first: Run, other: Run) -> Effects:
    """Of two runs with different schedules: each is a sample of its own."""
    latencies = first.latency_ms[first.finished], other.latency_ms[other.finished]
    gaps = _completion_gaps_ns(first, first.finished), _completion_gaps_ns(other, other.finished)
    means = mean_of(latencies[0]), mean_of(latencies[1])
    return Effects(
        throughput=ratio(mean_of(gaps[1]), mean_of(gaps[0])),
        latency=ratio(*means),
        mean_ms=means[1].value - means[0].value,
        median_ms=median_of(latencies[1]) - median_of(latencies[0]),
    )


def effects_between(reference: Sequence[RunMeans], other: Sequence[RunMeans]) -> Effects:
    """Of two groups of repeated runs: each run is one sample."""
    means_ms = [float(np.mean([run.mean_ms for run in group])) for group in (reference, other)]
    return Effects(
        throughput=ratio_between(*(_timed(group, "throughput") for group in (reference, other))),
        latency=ratio_between(*(_timed(group, "mean_ms") for group in (reference, other))),
        mean_ms=means_ms[1] - means_ms[0],
        median_ms=difference(*(_timed(group, "median_ms") for group in (reference, other))),
    )


def _timed(group: Sequence[RunMeans], name: str) -> list[Timed]:
    return [Timed(began_ns=run.began_ns, value=getattr(run, name)) for run in group]


def ratio_between(reference: Sequence[Timed], other: Sequence[Timed]) -> Ratio:
    """Of a positive figure of repeated runs; the runs' geometric means are compared."""
    logs = [
        [Timed(began_ns=run.began_ns, value=math.log(run.value)) for run in group]
        for group in (reference, other)
    ]
    return Ratio(log=difference(*logs))


def run_means(run: Run) -> RunMeans | None:
    """None when no request finished."""
    latencies = run.latency_ms[run.finished]
    if not len(latencies) or not run.seconds:
        return None
    return RunMeans(
        began_ns=run.start_ns,
        throughput=len(latencies) / run.seconds,
        mean_ms=float(latencies.mean()),
        median_ms=float(np.median(latencies)),
    )


def _completion_gaps_ns(run: Run, rows: Rows | Flags) -> NDArray[np.float64]:
    """Times from the start of the measured phase to the first end of a request, from that to the next, …"""
    start_ns = run.window_ns[0]
    ends = np.maximum(np.sort(run.ends_ns[rows]), start_ns)
    return np.diff(ends, prepend=start_ns).astype(np.float64)
