"""What is looked for, and which of two predictions is nearer to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnb.analysis.statistics import nearest_rank
from rnb.contract.termination import UsageError
from rnb.pipeline.plan import Plan
from rnb.record.run import Run
from rnb.spec import RunSpec

GOALS = ("throughput", "latency", "rate", "cost")
NEEDS = {"latency": ("rate",), "rate": ("slo",), "cost": ("rate", "slo")}
"""Which flags a goal takes, beside --goal."""
NUM_HALVINGS = 7
FAR = 1.5
"""So many times worse in a short run is not among the best."""
THROUGHPUT_WITHIN, P99_WITHIN = 0.1, 0.2
"""By so much a prediction may be off, as a share of what is measured."""


class Prediction(NamedTuple):
    """Of a candidate, under the load of the goal."""

    per_s: float
    """Requests that finish in a second; of the goal 'rate', the highest rate that keeps the bound."""
    p50_ms: float
    p99_ms: float
    num_gpus: int
    cores: int
    """Workers on the CPU."""

    def to_json(self) -> dict[str, float]:
        return self._asdict()


Play = Callable[[float], Run]
"""A run with this mean interval in ms; 0: all requests at once."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    name: str
    rate: float | None = None
    """Requests/s."""
    slo: float | None = None
    """ms, of the 99th percentile."""

    def __post_init__(self) -> None:
        """Raises UsageError for a flag that is missing, or says nothing here."""
        needed = NEEDS.get(self.name, ())
        for flag in ("rate", "slo"):
            is_given = getattr(self, flag) is not None
            if is_given != (flag in needed):
                problem = f"takes no --{flag}" if is_given else f"needs --{flag}"
                raise UsageError(f"--goal {self.name}: {problem}")

    @property
    def needed_per_s(self) -> float:
        """A candidate that cannot serve so many is out."""
        return self.rate or 0.0

    def predict(
        self, play: Play, plan: Plan, bound_per_s: float, best: Prediction | None = None
    ) -> Prediction:
        """What runs of a candidate say; `bound_per_s` is more than it can serve.

        With the goal 'rate', of one that does not keep the bound at the rate of `best` only its p99 there is
        told, and no rate.
        """
        if self.name == "throughput":
            return of_run(play(0), plan)
        if self.name in ("latency", "cost"):
            assert self.rate is not None
            return of_run(play(1e3 / self.rate), plan)
        if best is not None and best.per_s:
            there = of_run(play(1e3 / best.per_s), plan)
            if not self.is_met(there):
                return there._replace(per_s=0.0)
        return self._highest_rate(play, plan, bound_per_s)

    def _highest_rate(self, play: Play, plan: Plan, bound_per_s: float) -> Prediction:
        low, high = 0.0, bound_per_s
        best = Prediction(0.0, math.nan, math.inf, *uses(plan))
        for _ in range(NUM_HALVINGS):
            rate = (low + high) / 2
            found = of_run(play(1e3 / rate), plan)
            if self.is_met(found):
                low, best = rate, found._replace(per_s=rate)
            else:
                high = rate
                best = best if best.per_s else found._replace(per_s=0.0)
        return best

    def rank(self, found: Prediction) -> tuple[float, ...]:
        """Less is better. What does not keep the bound comes last, the nearest to it first."""
        size = (found.num_gpus, found.cores)
        if self.name == "throughput":
            return (-found.per_s, *size)
        if self.name == "latency":
            return (found.p99_ms, *size)
        is_met = self.is_met(found)
        if self.name == "rate":
            return (0 if is_met else 1, -found.per_s, found.p99_ms, *size)
        return (0, *size, found.p99_ms) if is_met else (1, found.p99_ms, *size)

    def interval_ms(self, best: Prediction) -> float:
        """The mean interval between requests at which others are held against the best; 0: all at once."""
        rate = best.per_s if self.name == "rate" else self.rate
        return 1e3 / rate if rate else 0.0

    def is_far_from(self, rough: Prediction, best: Prediction) -> bool:
        """Whether a short run says that a candidate is not among the best.

        A short run begins empty and ends so: its p99 is rather too good, its throughput too bad.
        """
        if self.name == "throughput":
            return rough.per_s * FAR < best.per_s
        if self.name == "latency":
            return rough.p99_ms > FAR * best.p99_ms
        return not (self.slo is None or rough.p99_ms <= FAR * self.slo)

    def is_met(self, found: Prediction) -> bool:
        return self.slo is None or found.p99_ms <= self.slo

    def load(self, spec: RunSpec, best: Prediction) -> RunSpec:
        """The load under which the candidates are played: with the goal 'rate', that of the best of them."""
        if self.name == "throughput":
            return spec.with_load(mean_interval_ms=0)
        rate = best.per_s if self.name == "rate" else self.rate
        if not rate:
            raise UsageError(
                f"--goal rate: no candidate keeps a p99 of {self.slo:g} ms at any rate (simulated)"
            )
        return spec.with_load(mean_interval_ms=1e3 / rate)

    def figure(self, found: Prediction) -> tuple[str, float]:
        """The one that the error is of, and what it is called."""
        return ("videos/s", found.per_s) if self.name == "throughput" else ("p99 ms", found.p99_ms)

    def error(self, predicted: Prediction, measured: Prediction) -> float | None:
        """Of that figure, as a share of the measured one; None where nothing was measured."""
        figures = self.figure(predicted)[1], self.figure(measured)[1]
        return figures[0] / figures[1] - 1 if 0 < figures[1] < math.inf else None

    def is_off(self, error: float | None) -> bool:
        """Whether a prediction is beyond the bounds in which it is to be."""
        bound = THROUGHPUT_WITHIN if self.name == "throughput" else P99_WITHIN
        return error is not None and abs(error) > bound


def of_run(run: Run, plan: Plan) -> Prediction:
    """The figures of a run, a simulated or a real one; a run that failed has none that are any good."""
    if not run.meta.is_success or run.seconds <= 0:
        return Prediction(0.0, math.inf, math.inf, *uses(plan))
    latencies_ms = np.sort(run.latency_ms[run.finished])
    return Prediction(
        len(latencies_ms) / run.seconds,
        nearest_rank(latencies_ms, 50),
        nearest_rank(latencies_ms, 99),
        *uses(plan),
    )


def uses(plan: Plan) -> tuple[int, int]:
    """How many GPUs, and how many workers on the CPU."""
    return len(plan.gpus), sum(one.workers for one in plan.replicas if not one.device.is_gpu)
