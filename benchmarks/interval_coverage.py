"""How often the 95 % intervals hold the true value, for the latency of M/M/1, of which theory knows it.

python -m benchmarks.interval_coverage
"""

from __future__ import annotations

import argparse
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import show
from rnb.analysis.intervals import Interval
from rnb.analysis.statistics import describe
from rnb.contract.events import END_TO_END

COUNTS = (1_000, 10_000, 100_000)
LOADS = (0.5, 0.8, 0.9)
WARM_UP = 2_000
PERCENTS = (50, 90, 99)
INDEPENDENT = "p90 as if independent"


def latencies(load: float, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Of one queue with a mean service time of 1, by Lindley's recursion as a running maximum."""
    arrivals = np.cumsum(random.exponential(1 / load, WARM_UP + count))
    services = random.exponential(1, WARM_UP + count)
    ends = np.cumsum(services)
    found: NDArray[np.float64] = np.maximum.accumulate(arrivals - (ends - services)) + ends - arrivals
    return found[WARM_UP:]


def independent_p90(values: NDArray[np.float64]) -> Interval:
    """What a textbook gives where the values do not depend on each other."""
    half = 1.96 * math.sqrt(0.9 * 0.1 / len(values))
    low, high = np.quantile(values, [0.9 - half, 0.9 + half])
    return Interval(low=float(low), high=float(high))


def holds(interval: Interval | None, value: float) -> bool:
    return (
        interval is not None and interval.low <= value and (interval.high is None or value <= interval.high)
    )


def coverage(load: float, count: int, num_series: int) -> dict[str, float]:
    """The share of the series of which the interval holds the true value, by figure."""
    random = np.random.default_rng(round(1000 * load) + count)
    held: dict[str, list[bool]] = {}
    for _ in range(num_series):
        values = latencies(load, count, random)
        intervals = describe(END_TO_END, values).intervals_ms
        held.setdefault("mean", []).append(holds(intervals["mean"], 1 / (1 - load)))
        for percent in PERCENTS:
            held.setdefault(f"p{percent}", []).append(
                holds(intervals[f"p{percent}"], true_value(load, percent))
            )
        held.setdefault(INDEPENDENT, []).append(holds(independent_p90(values), true_value(load, 90)))
    return {name: round(float(np.mean(values)), 3) for name, values in held.items()}


def true_value(load: float, percent: float) -> float:
    """The latency of M/M/1 is exponential with mean 1 / (1 - load)."""
    return -math.log(1 - percent / 100) / (1 - load)


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the 95 % intervals on M/M/1.")
    parser.add_argument(
        "--series", type=int, default=1000, help="how many of each kind (default %(default)s)"
    )
    num_series = parser.parse_args().series
    for load, count in itertools.product(LOADS, COUNTS):
        shares = coverage(load, count, num_series)
        line = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        figures = {"load": load, "num_requests": count, **shares}
        show("interval coverage", f"load {load}, {count} requests: {line}", figures)


if __name__ == "__main__":
    main()
