"""How often the test for a steady state errs, on simulated runs of one server that are steady or are not.

python -m benchmarks.steady_state_errors
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import show
from rnb.analysis.steady_state import SteadyState, find_steady_state
from rnb.record.run import Run
from tests.support.single_server import single_server_run

Values = NDArray[np.float64]
Make = Callable[[np.random.Generator, int], tuple[Values, Values]]
"""Arrivals and services of so many requests; the service rate is 1 at first."""
COUNTS = (300, 2_000, 20_000)
LOADS = (0.3, 0.5, 0.8, 0.9, 0.95)
STALLED_SHARE = 0.02
"""Of the time."""
WORDS = {True: "steady", False: "not steady", None: "not told"}


def steady(load: float, *, is_exponential: bool = True) -> Make:
    def make(random: np.random.Generator, count: int) -> tuple[Values, Values]:
        arrivals = np.cumsum(random.exponential(1 / load, count))
        return arrivals, random.exponential(1, count) if is_exponential else np.ones(count)

    return make


def slower_from_half(load: float, factor: float) -> Make:
    def make(random: np.random.Generator, count: int) -> tuple[Values, Values]:
        arrivals, services = steady(load)(random, count)
        return arrivals, services * np.where(np.arange(count) < count / 2, 1.0, factor)

    return make


def stalled(load: float, *, at_start: bool = False) -> Make:
    """One service takes STALLED_SHARE of the time longer; `at_start`: five times that, the first one."""

    def make(random: np.random.Generator, count: int) -> tuple[Values, Values]:
        arrivals, services = steady(load)(random, count)
        row = 0 if at_start else int(count * random.uniform(0.15, 0.9))
        services[row] += STALLED_SHARE * (5 if at_start else 1) * arrivals[-1]
        return arrivals, services

    return make


def slow_at_first(load: float, factor: float) -> Make:
    def make(random: np.random.Generator, count: int) -> tuple[Values, Values]:
        arrivals, services = steady(load)(random, count)
        return arrivals, services * np.where(np.arange(count) < count / 10, factor, 1.0)

    return make


def changing_rate(rate: Callable[[Values], Values]) -> Make:
    """`rate`: the arrival rate for the share of the requests that came before."""

    def make(random: np.random.Generator, count: int) -> tuple[Values, Values]:
        rates = rate(np.arange(count) / count)
        return np.cumsum(random.exponential(1, count) / rates), random.exponential(1, count)

    return make


def cells() -> Iterator[tuple[str, str, Make, int]]:
    """What a cell shows, its name, and how many requests it has."""
    for count in COUNTS:
        for load in LOADS:
            yield "steady", f"M/M/1 at load {load}", steady(load), count
            yield "steady", f"M/D/1 at load {load}", steady(load, is_exponential=False), count
        for load in (0.3, 0.5, 0.7):
            yield "changed", f"service x 1.3 from half time, load {load}", slower_from_half(load, 1.3), count
        yield "changed", "service x 2 from half time, load 0.3", slower_from_half(0.3, 2.0), count
        for load in (0.3, 0.5, 0.8, 0.9):
            yield "changed", f"a stall of 2 % of the time, load {load}", stalled(load), count
        yield "cold start", "a stall of 10 % at the start, load 0.5", stalled(0.5, at_start=True), count
        yield "cold start", "service x 3 for the first tenth, load 0.5", slow_at_first(0.5, 3.0), count
    for load in (1.02, 1.05, 1.1, 1.2):
        for count in (300, 3_000, 20_000):
            yield "changed", f"load {load}", steady(load), count
    yield "changed", "a ramp from 0.4 to 0.8", changing_rate(lambda share: 0.4 + 0.4 * share), 3_000
    shift = changing_rate(lambda share: np.where(share < 0.7, 0.4, 0.6))
    yield "changed", "a shift from 0.4 to 0.6", shift, 3_000


def outcomes(make: Make, count: int, num_runs: int) -> list[SteadyState]:
    return [find_steady_state(_run(make, count, seed)) for seed in range(num_runs)]


def _run(make: Make, count: int, seed: int) -> Run:
    return single_server_run(*make(np.random.default_rng(seed), count))


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors of the test for a steady state.")
    parser.add_argument("--runs", type=int, default=200, help="how many of each kind (default %(default)s)")
    num_runs = parser.parse_args().runs
    for kind, name, make, count in cells():
        found = outcomes(make, count, num_runs)
        words = Counter(WORDS[one.is_steady] for one in found)
        shares = {word: words[word] / num_runs for word in WORDS.values()}
        shares["start left out"] = sum(one.is_cut for one in found) / num_runs
        line = ", ".join(f"{share:.1%} {word}" for word, share in shares.items() if share)
        figures = {"kind": kind, "runs": name, "num_requests": count, **shares}
        show("steady state", f"{kind}: {name}, {count} requests: {line}", figures)


if __name__ == "__main__":
    main()
