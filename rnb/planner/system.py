"""A pipeline on a machine, as they are or as they are supposed to be, and what both would do."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rnb.analysis.statistics import nearest_rank
from rnb.contract.events import Event, EventKind
from rnb.contract.termination import UsageError
from rnb.pipeline.config import ConfigFile
from rnb.pipeline.plan import Plan
from rnb.planner.ceilings import Ceiling
from rnb.planner.screening import NUM_REQUESTS, Simulator
from rnb.record.run import Run
from rnb.spec import RunSpec, plan_of

LOAD = 0.8
"""Of what it can serve: where the p99 is asked for."""
NUM_CALLS = 6
"""Of each worker of the largest step, at least, in a simulated run of all requests at once."""
FILLING = 1.3
"""Where the rate in the middle is by more than that another than that from the start, more are played."""
MOST_AT_ONCE, MOST_PACED = 50_000, 20_000
"""Requests of a simulated run of all at once before that stops, and of one at a rate."""
WARM_UP = 0.1
"""Of the requests, left out of the p99."""
NO_VIDEOS = "rnb.load.videos.NoVideos"


class Predicted(NamedTuple):
    """By simulation."""

    per_s: float
    """Requests/s when all come at once."""
    p99_ms: float
    """At `rate_per_s`."""
    rate_per_s: float


@dataclass(frozen=True, kw_only=True)
class System:
    """Frozen: another machine or config is another one."""

    spec: RunSpec
    simulator: Simulator

    @classmethod
    def of(cls, spec: RunSpec, simulator: Simulator) -> System:
        """Raises UsageError where the profile lacks a step of the config, or it cannot run anywhere."""
        data = copy.deepcopy(spec.config.pipeline().model_dump(exclude_unset=True, mode="json"))
        # The profile knows the requests; the videos themselves need not be here.
        config = ConfigFile(path=spec.config.path, data={**data, "video_path_iterator": NO_VIDEOS})
        system = cls(spec=replace(spec, config=config), simulator=simulator)
        missing = simulator.profile.missing(system.plan, config.pipeline())
        if missing:
            raise UsageError(f"{spec.config.path}: the profile says nothing of {', '.join(missing)}")
        return system

    @cached_property
    def plan(self) -> Plan:
        """Of all requests at once, wherever it would run."""
        return plan_of(
            self.spec.with_load(mean_interval_ms=0), num_requests=1_000_000, is_for_this_machine=False
        )

    @cached_property
    def ceilings(self) -> list[Ceiling]:
        """What it cannot exceed, the lowest first."""
        return self.simulator.ceilings(self.spec, self.plan)

    @cached_property
    def at_once(self) -> Run:
        """A simulated run of all requests at once."""
        calls = [0] * self.plan.num_steps
        for one in self.plan.replicas:
            calls[one.step] += one.workers * one.batch_size
        count = max(NUM_REQUESTS, NUM_CALLS * max(calls))
        while True:
            run = self.simulator.play(self.spec, 0, self.plan, num_requests=count)
            ratio = steady_rate(run) / _mean_rate(run)
            if count >= MOST_AT_ONCE or 1 / FILLING <= ratio <= FILLING:
                return run
            count *= 2

    def play(self, rate_per_s: float) -> Run:
        """A simulated run at a rate."""
        count = min(self.at_once.num_requests, MOST_PACED)
        return self.simulator.play(self.spec, 1e3 / rate_per_s, self.plan, num_requests=count)

    @cached_property
    def per_s(self) -> float:
        """What it serves then."""
        return steady_rate(self.at_once)

    def predict(self, rate_per_s: float | None = None) -> Predicted:
        """With the p99 at a rate; by default at LOAD of what it serves."""
        rate_per_s = rate_per_s or LOAD * self.per_s
        return Predicted(self.per_s, p99_ms(self.play(rate_per_s)), rate_per_s)


def steady_rate(run: Run) -> float:
    """Requests that end in a second, by the line through the middle eight tenths of the ends, so that filling
    and draining the pipeline counts little."""
    last = Event(EventKind.FINISHED, run.num_steps - 1)
    ends_s = np.sort(run.times[last][run.finished]) / 1e9
    tenth = len(ends_s) // 10
    middle = ends_s[tenth : len(ends_s) - tenth] - ends_s[0]
    if np.ptp(middle) <= 0:
        return float(len(ends_s) / run.seconds)
    numbers = np.arange(len(middle))
    return float(np.cov(middle, numbers)[0, 1] / np.var(middle, ddof=1))


def _mean_rate(run: Run) -> float:
    """From the start until all but a twentieth have ended: the last ones tell how slow calls may be."""
    ends_ns = np.sort(run.times[Event(EventKind.FINISHED, run.num_steps - 1)][run.finished])
    number = max(0, int(0.95 * len(ends_ns)) - 1)
    return float((number + 1) * 1e9 / max(1, ends_ns[number] - run.start_ns))


def p99_ms(run: Run) -> float:
    """Without the first of the requests, which find an empty pipeline."""
    latencies_ms = run.latency_ms[run.finished]
    return float(nearest_rank(np.sort(latencies_ms[int(WARM_UP * len(latencies_ms)) :]), 99))
