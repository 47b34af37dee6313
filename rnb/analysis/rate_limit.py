"""At which rate a given share of the requests misses the bound, from runs at several rates, and how surely.

The number over the bound is taken as n · exp(a + b · ln(rate / centre)), fitted by quasi-likelihood: its
variance is φ times its mean. φ is found from how far the runs scatter around the fit; it is how much more the
requests of a queue scatter than independent ones. Runs are independent of each other if each draws its own
arrivals, so they, and not the requests, are the samples: Student's t, with two degrees fewer than runs.

Source: McCullagh and Nelder, *Generalized Linear Models*, 2nd edition, 1989, chapter 9 (quasi-likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.student_t import student_t

CONFIDENCE = 0.985
"""Of the interval whose coverage benchmarks/peak_coverage.py finds to be 95 % or more: runs are short against
what a queue near saturation takes to forget, the line is straight only nearby, and φ is an estimate."""
BELOW, ABOVE = 1.4, 0.7
"""Of the margin: late requests come in rare clusters, so runs that missed one say too high a rate, and
scatter too little to show it."""
LEAST_MARGIN = 0.02
"""No range is narrower: a fit cannot know how far its line is from the truth."""
MOST_MARGIN = 0.5
"""A wider one is no answer, and beyond what a straight line can tell."""
MIN_RUNS = 6
NEAREST = 6
MOST_STEPS, MOST_STEP = 60, 5.0
"""Of the iteration for the fit."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A run at a rate."""

    rate_per_s: float
    num_requests: int
    num_over: int


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """Where the share is reached."""

    best_per_s: float
    low_per_s: float
    high_per_s: float
    slope: float
    """By how many % the number over the bound rises where the rate rises by 1 %."""

    @property
    def margin(self) -> float:
        """Half of the range, as a share of the rate."""
        return math.log(self.high_per_s / self.low_per_s) / 2


def find_limit(
    runs: Sequence[Counted], share: float, *, around_per_s: float, reach: float
) -> RateLimit | None:
    """The limit from the runs whose rates are within exp(±reach) of a rate, or are the nearest to it.

    None where they are too few, where not more is over the bound at higher rates, or where it is far away or
    uncertain.
    """
    distances = np.array([abs(math.log(run.rate_per_s / around_per_s)) for run in runs])
    if len(runs) < MIN_RUNS:
        return None
    is_near = distances <= max(reach, float(np.sort(distances)[NEAREST - 1]))
    near = [run for run, is_in in zip(runs, is_near, strict=True) if is_in]
    counts = np.array([run.num_requests for run in near], dtype=np.float64)
    over = np.array([run.num_over for run in near], dtype=np.float64)
    logs = np.log([run.rate_per_s for run in near])
    centre = float(np.average(logs, weights=counts))
    columns = np.stack([np.ones(len(near)), logs - centre], axis=1)
    level, slope, covariance = _fit(columns, counts, over)
    at = (math.log(share) - level) / slope if slope > 0 else math.inf
    if abs(at) > max(reach, float(np.ptp(logs))):
        return None
    here = np.array([1.0, at])
    error = math.sqrt(float(here @ covariance @ here)) / slope
    margin = max(LEAST_MARGIN, student_t(len(near) - 2, confidence=CONFIDENCE) * error)
    if margin > MOST_MARGIN:
        return None
    best = centre + at
    return RateLimit(
        best_per_s=math.exp(best),
        low_per_s=math.exp(best - BELOW * margin),
        high_per_s=math.exp(best + ABOVE * margin),
        slope=slope,
    )


def _fit(columns: Numbers, counts: Numbers, over: Numbers) -> tuple[float, float, Numbers]:
    """The line's height at the centre, its slope, and the covariance of both: iteratively reweighted."""
    found = np.array([math.log(max(float(over.sum()), 0.5) / float(counts.sum())), 4.0])
    for _ in range(MOST_STEPS):
        expected = counts * np.exp(np.clip(columns @ found, -30, 3))
        information = columns.T @ (columns * expected[:, None]) + 1e-9 * np.eye(2)
        step = np.clip(np.linalg.solve(information, columns.T @ (over - expected)), -MOST_STEP, MOST_STEP)
        found = found + step
        if float(np.abs(step).max()) < 1e-8:
            break
    expected = counts * np.exp(np.clip(columns @ found, -30, 3))
    information = columns.T @ (columns * expected[:, None]) + 1e-9 * np.eye(2)
    scatter = max(1.0, float(np.sum((over - expected) ** 2 / expected)) / (len(counts) - 2))
    return float(found[0]), float(found[1]), scatter * np.linalg.inv(information)
