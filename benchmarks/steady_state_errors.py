"""How often the test for a steady state errs, on simulated runs of M/M/1 that are steady or are not.

python -m benchmarks.steady_state_errors
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import show
from rnb.analysis.steady_state import find_steady_state
from tests.support.single_server import single_server_run

Rate = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""The arrival rate for the share of the requests that came before, the service rate being 1."""


def constant(rate: float) -> Rate:
    return lambda share: np.full(len(share), rate)


RUNS: dict[str, tuple[Rate, int]] = {
    **{
        f"steady, load {load}, {count} requests": (constant(load), count)
        for load in (0.3, 0.5, 0.8, 0.9)
        for count in (300, 2000, 20_000)
    },
    "load 1.1, 3000 requests": (constant(1.1), 3000),
    "load 1.2, 3000 requests": (constant(1.2), 3000),
    "ramp from 0.4 to 0.8, 3000 requests": (lambda share: 0.4 + 0.4 * share, 3000),
    "shift from 0.4 to 0.6, 3000 requests": (lambda share: np.where(share < 0.7, 0.4, 0.6), 3000),
}


def share_called_steady(rate: Rate, num_requests: int, num_runs: int) -> float:
    calls = []
    for seed in range(num_runs):
        random = np.random.default_rng(seed)
        rates = rate(np.arange(num_requests) / num_requests)
        arrivals = np.cumsum(random.exponential(1, num_requests) / rates)
        run = single_server_run(arrivals, random.exponential(1, num_requests))
        calls.append(find_steady_state(run).is_steady is True)
    return float(np.mean(calls))


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors of the test for a steady state on M/M/1.")
    parser.add_argument("--runs", type=int, default=200, help="how many of each kind (default %(default)s)")
    num_runs = parser.parse_args().runs
    for name, (rate, num_requests) in RUNS.items():
        share = share_called_steady(rate, num_requests, num_runs)
        show("steady state", f"{name}: {share:.1%} called steady", {"runs": name, "called_steady": share})


if __name__ == "__main__":
    main()
