"""A player of queues of which theory knows the latency: M/M/1, M/D/1 and M/M/2, without a harness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.theory import MD1, MMc
from rnb.campaigns.campaign import Player
from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome
from rnb.load.schedule import make_schedule
from rnb.spec import RunSpec
from tests.support.ideal_queue import ideal_waits
from tests.support.simulated_campaigns import end_early, outcome_of
from tests.support.single_server import waits_s
from tests.support.timed_runs import timed_run

Seconds = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Poisson arrivals; `service_s` on average in each of its servers."""

    name: str
    service_s: float = 0.006

    @property
    def num_servers(self) -> int:
        return 2 if self.name == "M/M/2" else 1

    @property
    def most_per_s(self) -> float:
        return self.num_servers / self.service_s

    def services_s(self, count: int, random: np.random.Generator) -> Seconds:
        if self.name == "M/D/1":
            return np.full(count, self.service_s)
        return random.exponential(self.service_s, count)

    def latencies_s(self, arrivals_s: Seconds, services_s: Seconds) -> Seconds:
        if self.num_servers == 1:
            return waits_s(arrivals_s, services_s) + services_s
        return ideal_waits(arrivals_s, services_s.tolist(), self.num_servers) + services_s

    def share_above(self, rate_per_s: float, bound_s: float) -> float:
        """Of the requests, in the steady state, whose latency is above the bound."""
        if self.name == "M/M/1":
            return math.exp(-(1 / self.service_s - rate_per_s) * bound_s)
        if self.name == "M/D/1":
            if bound_s <= self.service_s:
                return 1.0
            return 1 - MD1(rate=rate_per_s, service=self.service_s).wait_cdf(bound_s - self.service_s)
        return self._share_above_of_two(rate_per_s, bound_s)

    def _share_above_of_two(self, rate_per_s: float, bound_s: float) -> float:
        """Of a wait, exponential if there is one, and an exponential service after it."""
        chance = MMc(rate=rate_per_s, service=self.service_s, num_servers=2).chance_to_wait()
        served, spare = 1 / self.service_s, self.most_per_s - rate_per_s
        alone, left = math.exp(-served * bound_s), math.exp(-spare * bound_s)
        return (1 - chance) * alone + chance * (served * left - spare * alone) / (served - spare)

    def peak_per_s(self, bound_s: float, share: float = 0.01) -> float:
        """The highest rate at which at most that share of the requests is above the bound."""
        low, high = 1e-6 * self.most_per_s, (1 - 1e-9) * self.most_per_s
        for _ in range(60):
            middle = (low + high) / 2 * (1 + 1e-12)
            low, high = (middle, high) if self.share_above(middle, bound_s) <= share else (low, middle)
        return low


def player_of(queue: Queue, seed: int) -> Player:
    """Plays each run with the arrivals that it asks for, and services of its own."""
    random = np.random.default_rng(seed)

    def play(spec: RunSpec, logs: Path, ending: EarlyEnd | None = None) -> Outcome:
        load, schedule = make_schedule(spec.load, ["one"])
        arrivals_s = schedule.arrivals_ns / 1e9
        latencies_s = queue.latencies_s(arrivals_s, queue.services_s(len(arrivals_s), random))
        run = timed_run(
            {"enqueue_filename": np.zeros(len(arrivals_s)), "inference0_finish": 1e3 * latencies_s},
            arrivals_ms=1e3 * arrivals_s,
            columns={"is_warmup": np.arange(len(arrivals_s)) < load.warmup},
            args=spec.flags(),
        )
        if ending:
            end_early(run, ending)
        return outcome_of(run)

    return play
