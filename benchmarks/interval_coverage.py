"""How often the 95 % intervals hold the true value where they are printed, and an SLO claim is wrong.

Of the latency of M/M/1, of which theory knows it, and of M/D/1, of which a long simulation does.

python -m benchmarks.interval_coverage
"""

from __future__ import annotations

import argparse
import itertools
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import show
from rnb.analysis.early_stopping import judge_bound
from rnb.analysis.intervals import Interval
from rnb.analysis.slack import find_slack
from rnb.analysis.statistics import describe
from rnb.analysis.step_work import step_work
from rnb.contract.events import END_TO_END
from rnb.record.run import Run
from tests.support.single_server import single_server_run, waits_s

QUEUES = ("M/M/1", "M/D/1")
COUNTS = (300, 1_000, 2_000, 5_000, 10_000, 20_000)
LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
PERCENTS = (50, 90, 95, 99)
FIGURES = ("mean", *(f"p{percent}" for percent in PERCENTS))
LONG = 4_000_000
"""Requests of the simulation that stands for theory."""


def draw(
    queue: str, load: float, count: int, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Arrivals and services; the mean service is 1 s."""
    arrivals = np.cumsum(random.exponential(1 / load, count))
    return arrivals, random.exponential(1, count) if queue == "M/M/1" else np.ones(count)


@cache
def true_values_ms(queue: str, load: float) -> dict[str, float]:
    """By figure. The latency of M/M/1 is exponential with mean 1 / (1 - load)."""
    if queue == "M/M/1":
        mean_ms = 1e3 / (1 - load)
        return {"mean": mean_ms, **{f"p{p}": -math.log(1 - p / 100) * mean_ms for p in PERCENTS}}
    arrivals, services = draw(queue, load, LONG, np.random.default_rng(0))
    latencies_ms = 1e3 * (waits_s(arrivals, services) + services)
    return {
        "mean": 1e3 * (1 + load / (2 * (1 - load))),
        **{f"p{p}": float(np.quantile(latencies_ms, p / 100)) for p in PERCENTS},
    }


def steady_run(queue: str, load: float, count: int, random: np.random.Generator) -> Run:
    """Its measured phase begins when the queue has forgotten that it was empty."""
    num_warmup = min(20_000, round(40 / (1 - load) ** 2))
    arrivals, services = draw(queue, load, num_warmup + count, random)
    is_warmup = np.arange(num_warmup + count) < num_warmup
    return single_server_run(arrivals, services, columns={"is_warmup": is_warmup})


def holds(interval: Interval, value: float) -> bool:
    return interval.low <= value and (interval.high is None or value <= interval.high)


def cell(queue: str, load: float, count: int, num_runs: int) -> dict[str, float | None]:
    """By figure: the share of the runs with an interval, and of those the share that hold the true value.

    And the shares of wrong claims, at an SLO of just the true p99, and of right ones, at 1.5 times that.
    """
    random = np.random.default_rng(round(1000 * load) + count)
    true_ms = true_values_ms(queue, load)
    held: dict[str, list[bool]] = {name: [] for name in FIGURES}
    claims: dict[float, list[bool]] = {1.0: [], 1.5: []}
    for _ in range(num_runs):
        run = steady_run(queue, load, count, random)
        slack = find_slack(run, list(step_work(run)), run.window_ns[0], int(run.due_ns.max()))
        assert slack
        latencies_ms = run.latency_ms[run.finished]
        intervals = describe(END_TO_END, latencies_ms, slack.evidence).intervals_ms
        for name in FIGURES:
            if interval := intervals[name]:
                held[name].append(holds(interval, true_ms[name]))
        for factor, made in claims.items():
            num_over = int(np.count_nonzero(latencies_ms > factor * true_ms["p99"]))
            bound = judge_bound(
                num_requests=count,
                num_effective=slack.num_effective,
                num_over=num_over,
                percentile=99,
                bound_ms=factor * true_ms["p99"],
            )
            made.append(bound.is_met)
    return {
        **{f"{name} printed": len(found) / num_runs for name, found in held.items()},
        **{f"{name} held": float(np.mean(found)) if found else None for name, found in held.items()},
        "claims at the p99": float(np.mean(claims[1.0])),
        "claims at 1.5 x p99": float(np.mean(claims[1.5])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the 95 % intervals, and wrong SLO claims.")
    parser.add_argument("--runs", type=int, default=400, help="how many of each kind (default %(default)s)")
    num_runs = parser.parse_args().runs
    for queue, load, count in itertools.product(QUEUES, LOADS, COUNTS):
        found = cell(queue, load, count, num_runs)
        line = ", ".join(
            f"{name} {found[f'{name} held']:.1%} of {found[f'{name} printed']:.0%}"
            if found[f"{name} printed"]
            else f"{name} -"
            for name in FIGURES
        )
        wrong, right = found["claims at the p99"], found["claims at 1.5 x p99"]
        line += f"; SLO claims: wrong {wrong:.1%}, right {right:.0%}"
        figures = {"queue": queue, "load": load, "num_requests": count, **found}
        show("interval coverage", f"{queue} at load {load}, {count} requests: {line}", figures)


if __name__ == "__main__":
    main()
