"""How much one run, or one group of repeated runs, differs from the reference, and how well that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.estimate import Estimate, change, change_of, mean_of, median_of, of_runs
from rnb.analysis.pairing import Pairing, Rows
from rnb.record.run import Flags, Run


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Differences to the reference."""

    throughput: Estimate
    """Change as a share: 0.1 is 10 % more requests per second."""
    mean_ms: Estimate
    """Change of the mean latency."""
    median_ms: Estimate
    """Paired: the median of the requests' differences; else the difference of the medians."""
    reference_mean_ms: float
    """The reference's mean latency."""

    @property
    def latency(self) -> Estimate:
        """Change of the mean latency as a share of the reference's."""
        return self.mean_ms.scaled(1 / self.reference_mean_ms)


@dataclass(frozen=True, kw_only=True)
class RunMeans:
    """What of a run enters the comparison of repeated runs."""

    throughput: float
    mean_ms: float
    median_ms: float


def paired_effects(first: Run, other: Run, pairing: Pairing) -> Effects:
    """Of two runs with the same schedule, by request."""
    latencies = first.latency_ms[pairing.first], other.latency_ms[pairing.other]
    differences = latencies[1] - latencies[0]
    gaps = _completion_gaps_ns(first, pairing.first), _completion_gaps_ns(other, pairing.other)
    # The time that the same work took is what throughput is the inverse of.
    return Effects(
        throughput=change_of(gaps[0], gaps[1]),
        mean_ms=mean_of(differences),
        median_ms=median_of(differences),
        reference_mean_ms=float(latencies[0].mean()),
    )


def unpaired_effects(first: Run, other: Run) -> Effects:
    """Of two runs with different schedules: each is a sample of its own."""
    latencies = first.latency_ms[first.finished], other.latency_ms[other.finished]
    gaps = _completion_gaps_ns(first, first.finished), _completion_gaps_ns(other, other.finished)
    means = mean_of(latencies[0]), mean_of(latencies[1])
    return Effects(
        throughput=change(mean_of(gaps[1]), mean_of(gaps[0])),
        mean_ms=means[1] - means[0],
        median_ms=median_of(latencies[1]) - median_of(latencies[0]),
        reference_mean_ms=means[0].value,
    )


def effects_between(reference: Sequence[RunMeans], other: Sequence[RunMeans]) -> Effects:
    """Of two groups of repeated runs: each run is one sample."""
    means = [of_runs([run.mean_ms for run in group]) for group in (reference, other)]
    medians = [of_runs([run.median_ms for run in group]) for group in (reference, other)]
    rates = [of_runs([run.throughput for run in group]) for group in (reference, other)]
    return Effects(
        throughput=change(rates[0], rates[1]),
        mean_ms=means[1] - means[0],
        median_ms=medians[1] - medians[0],
        reference_mean_ms=means[0].value,
    )


def run_means(run: Run) -> RunMeans | None:
    """None when no request finished."""
    latencies = run.latency_ms[run.finished]
    if not len(latencies) or not run.seconds:
        return None
    return RunMeans(
        throughput=len(latencies) / run.seconds,
        mean_ms=float(latencies.mean()),
        median_ms=float(np.median(latencies)),
    )


def _completion_gaps_ns(run: Run, rows: Rows | Flags) -> NDArray[np.float64]:
    """Times from the start of the measured phase to the first end of a request, from that to the next, …"""
    start_ns = run.window_ns[0]
    ends = np.maximum(np.sort(run.ends_ns[rows]), start_ns)
    return np.diff(ends, prepend=start_ns).astype(np.float64)
