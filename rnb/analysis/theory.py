"""What queueing theory says of a step: how long requests wait, with Poisson arrivals and known service times.

Sources: Erlang, 'Solution of some problems in the theory of probabilities of significance in automatic
telephone exchanges' (1917), for M/M/c. For M/D/1, Pollaczek and Khinchine's formula for the mean, and for the
distribution Franx, 'A simple solution for the M/D/c waiting time distribution' (2001), with the recursion of
Tijms, 'A First Course in Stochastic Models' (2003).

All times have the unit of `service`; a rate is per that unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Queue(Protocol):
    """A queue in its steady state."""

    def mean_wait(self) -> float:
        """From a request's arrival to the beginning of its service, on average."""

    def wait_percentile(self, percentile: float) -> float:
        """The wait that `percentile` % of requests do not exceed."""


@dataclass(frozen=True, kw_only=True)
class MD1:
    """Poisson arrivals, one server, each service takes the same time."""

    rate: float
    service: float

    def __post_init__(self) -> None:
        _check_load(self.rate * self.service)

    def mean_wait(self) -> float:
        """Pollaczek-Khinchine, with no variance of the service."""
        load = self.rate * self.service
        return load * self.service / (2 * (1 - load))

    def wait_cdf(self, wait: float) -> float:
        """Franx' sum over how many requests are there, whose terms are all positive."""
        rounds = math.floor(wait / self.service) + 1
        left = self.rate * (rounds * self.service - wait)
        at_most = np.cumsum(self._chances_of_requests(rounds))
        arrivals = [left**number / math.factorial(number) for number in range(rounds)]
        return math.exp(-left) * math.fsum(at_most[rounds - np.arange(rounds)] * arrivals)

    def _chances_of_requests(self, most: int) -> list[float]:
        """The chance of 0, 1, …, `most` requests in the system, by Tijms' recursion."""
        load = self.rate * self.service
        arrive = [math.exp(-load) * load**number / math.factorial(number) for number in range(most + 1)]
        arrive_more = 1 - np.cumsum(arrive)
        chances = [1 - load]
        for count in range(1, most + 1):
            weights = arrive_more[count - np.arange(1, count)]
            chances.append((arrive_more[count - 1] * chances[0] + weights @ chances[1:]) / arrive[0])
        return chances

    def wait_percentile(self, percentile: float) -> float:
        return _percentile(self.wait_cdf, percentile, scale=self.service)


@dataclass(frozen=True, kw_only=True)
class MMc:
    """Poisson arrivals, servers that share a queue, exponential services."""

    rate: float
    service: float
    """Mean."""
    num_servers: int

    def __post_init__(self) -> None:
        _check_load(self.rate * self.service / self.num_servers)

    def chance_to_wait(self) -> float:
        """Erlang's C formula, from the recursion of his B formula."""
        offered = self.rate * self.service
        blocked = 1.0
        for servers in range(1, self.num_servers + 1):
            blocked = offered * blocked / (servers + offered * blocked)
        return blocked / (1 - offered / self.num_servers * (1 - blocked))

    def mean_wait(self) -> float:
        return self.chance_to_wait() / self._spare_rate()

    def wait_cdf(self, wait: float) -> float:
        return 1 - self.chance_to_wait() * math.exp(-self._spare_rate() * wait)

    def wait_percentile(self, percentile: float) -> float:
        share_above = 1 - percentile / 100
        return max(0.0, math.log(self.chance_to_wait() / share_above) / self._spare_rate())

    def _spare_rate(self) -> float:
        return self.num_servers / self.service - self.rate


def _check_load(load: float) -> None:
    if not 0 < load < 1:
        raise ValueError(f"a load of {load:g}: a queue has a steady state only between 0 and 1")


def _percentile(cdf: Callable[[float], float], percentile: float, *, scale: float) -> float:
    """The least value where `cdf` reaches the percentile, by bisection."""
    low, high = 0.0, scale
    if cdf(low) >= percentile / 100:
        return low
    while cdf(high) < percentile / 100:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if cdf(middle) < percentile / 100:
            low = middle
        else:
            high = middle
    return high
