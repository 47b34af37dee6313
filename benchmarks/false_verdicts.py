"""How often compare.py tells equal runs apart, and finds those that are 5 % slower: simulated runs.

python -m benchmarks.false_verdicts

Each run is an M/M/1 queue with the same arrivals, whose service is slower or faster by the noise of its run:
independent from run to run, and, in half of the cells, as much again that lasts over runs (a random walk).
Both sides have five runs, played in turn.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import show
from rnb.analysis.comparison import THRESHOLD
from rnb.analysis.effects import ratio_between
from rnb.analysis.estimate import of_runs
from rnb.analysis.fail_condition import FailCondition
from rnb.analysis.turns import Timed
from tests.support.single_server import waits_s

LOADS, COUNTS, NOISES = (0.5, 0.8, 0.9), (300, 2000), (0.0, 0.02, 0.05)
LASTING = ("none", "walk")
NUM_RUNS = 5
EFFECT = 1.05
"""Of the service time."""
CONDITION = FailCondition(figure="p99", limit=0.05)


def figures(load: float, count: int, slowness: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Mean and p99 of the latency of each run, (2, runs), whose services take `slowness` times as long."""
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1, count))
    drawn = np.random.default_rng([seed, 1]).exponential(load, (len(slowness), count))
    services = drawn * slowness[:, None]
    latencies = waits_s(arrivals, services) + services
    return np.stack([latencies.mean(axis=1), np.quantile(latencies, 0.99, axis=1)])


def slownesses(noise: float, lasting: str, random: np.random.Generator) -> NDArray[np.float64]:
    logs = noise * random.normal(size=2 * NUM_RUNS)
    if lasting == "walk":
        logs += noise * np.cumsum(random.normal(size=2 * NUM_RUNS))
    return np.exp(logs)


def _timed(values: NDArray[np.float64], side: int) -> list[Timed]:
    return [Timed(began_ns=number, value=float(values[number])) for number in range(side, len(values), 2)]


def is_told_apart(values: NDArray[np.float64]) -> bool:
    """By today's rule."""
    found = ratio_between(_timed(values, 0), _timed(values, 1))
    return found.excludes_one and abs(found.value - 1) >= THRESHOLD


def was_told_apart(values: NDArray[np.float64]) -> bool:
    """By the rule of before: the difference of the groups' means with Welch's degrees of freedom."""
    means = of_runs(values[::2].tolist()), of_runs(values[1::2].tolist())
    difference = means[1] - means[0]
    return difference.excludes_zero and abs(difference.value) >= THRESHOLD * means[0].value


def shares(load: float, count: int, noise: float, lasting: str, num_pairs: int) -> dict[str, float]:
    """Over so many pairs of groups, on the same seeds for all."""
    told: dict[str, list[bool]] = {}
    for seed in range(num_pairs):
        slowness = slownesses(noise, lasting, np.random.default_rng([seed, 2]))
        equal = figures(load, count, slowness, seed)
        slower = figures(load, count, slowness * np.tile([1.0, EFFECT], NUM_RUNS), seed)
        single = equal[0, :2]
        p99 = ratio_between(_timed(equal[1], 0), _timed(equal[1], 1))
        for name, is_so in (
            ("false", is_told_apart(equal[0])),
            ("false_before", was_told_apart(equal[0])),
            ("single_runs_differ", bool(abs(single[1] / single[0] - 1) >= THRESHOLD)),
            ("found", is_told_apart(slower[0])),
            ("found_before", was_told_apart(slower[0])),
            ("fail_if_false", CONDITION.fires(p99)),
            (
                "fail_if_false_before",
                bool(equal[1, 1::2].mean() / equal[1, ::2].mean() > 1 + CONDITION.limit),
            ),
        ):
            told.setdefault(name, []).append(is_so)
    return {name: float(np.mean(values)) for name, values in told.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="False verdicts on equal runs, and power at +5 %.")
    parser.add_argument("--pairs", type=int, default=400, help="groups of each kind (default %(default)s)")
    num_pairs = parser.parse_args().pairs
    for load, count, noise, lasting in itertools.product(LOADS, COUNTS, NOISES, LASTING):
        if lasting != "none" and not noise:
            continue
        found = shares(load, count, noise, lasting, num_pairs)
        line = (
            f"load {load}, {count} requests, noise {noise:.0%}, lasting {lasting}: told apart"
            f" {found['false']:.1%} (before {found['false_before']:.1%}; single runs differ"
            f" {found['single_runs_differ']:.0%}), +5 % found {found['found']:.0%}"
            f" (before {found['found_before']:.0%}), p99:+5% fires {found['fail_if_false']:.1%}"
            f" (before {found['fail_if_false_before']:.0%})"
        )
        cell = {"load": load, "num_requests": count, "noise": noise, "lasting": lasting}
        show("false verdicts", line, {**cell, **found})


if __name__ == "__main__":
    main()
