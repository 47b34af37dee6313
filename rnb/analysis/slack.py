"""How much of the pipeline stood idle, and how much so many requests can thus tell.

A queue forgets what happened to it when it runs empty. How long that takes depends on two things: the share ε
of the capacity of the busiest step that is left over, and the variation c² of what comes and what it takes,
the squared coefficients of variation of the gaps and of the services. Near saturation the queue is a
reflected Brownian motion that forgets within c² / ε² requests, so n requests say as much as n ε² / c² that do
not depend on each other: 'effective' requests. √(n ε² / c²) is the *evidence*, how many standard errors the
idle share is away from none; it is 0 of a pipeline that cannot keep up.

Source: Whitt, *Planning queueing simulations*, Management Science 35(11), 1989; Asmussen, *Queueing
simulation in heavy traffic*, Mathematics of Operations Research 17(1), 1992.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.step_work import StepWork
from rnb.record.run import Run, Times

NUM_GROUPS = 40
"""Of neighbouring requests: how far their means scatter shows whether neighbours resemble each other."""
LEAST_VARIATION = 1e-4
IN_TAIL = 1.5
"""The longest latencies come in larger clusters than Brownian motion has, where services are even."""


@dataclass(frozen=True, kw_only=True)
class Slack:
    """Of the step that leaves the least to tell."""

    step: int
    share: float
    """Of its capacity, idle on average."""
    variation: float
    """c²: how large the variance of n gaps and services is, as a share of n squared means."""
    num_requests: int

    @property
    def evidence(self) -> float:
        return self.share * math.sqrt(self.num_requests / self.variation)

    @property
    def num_effective(self) -> float:
        """As many requests that do not depend on each other say as much, also of the tail; 0: not known."""
        return 0.0 if self.evidence < 1 else min(float(self.num_requests), self.evidence**2 / IN_TAIL)

    def num_needed(self, evidence: float) -> int | None:
        """How many requests give so much evidence; None where no number will do."""
        if self.evidence < 1:
            return None
        return math.ceil(self.num_requests * (evidence / self.evidence) ** 2)


def find_slack(run: Run, work: Sequence[StepWork], start_ns: int, end_ns: int) -> Slack | None:
    """Of a stretch of time; None where nothing arrived in it, or nothing is known of any step."""
    due_ns = run.due_ns
    is_inside = (due_ns >= start_ns) & (due_ns <= end_ns)
    if np.count_nonzero(is_inside) < NUM_GROUPS or end_ns <= start_ns:
        return None
    gaps = np.diff(np.sort(due_ns[is_inside]), append=end_ns).astype(np.float64)
    found = [
        Slack(
            step=one.step,
            share=idle_share(one, start_ns, end_ns),
            variation=_variation(gaps, (one.service_ms / one.batch)[is_inside[one.row]]),
            num_requests=len(gaps),
        )
        for one in work
        if is_inside[one.row].any()
    ]
    return min(found, key=lambda slack: slack.evidence, default=None)


def idle_share(work: StepWork, start_ns: int, end_ns: int) -> float:
    """The mean share of the step's capacity for which no request was there."""
    came, left = (np.clip(np.sort(times, kind="stable"), start_ns, end_ns) for times in _times(work))
    times = np.concatenate([came, left])
    order = np.argsort(times, kind="stable")
    times = np.append(times[order], end_ns)
    number = np.cumsum(np.where(order < len(came), 1, -1))
    busy_ns = float(np.minimum(number, work.capacity) @ np.diff(times).astype(np.float64))
    return max(0.0, 1 - busy_ns / work.capacity / (end_ns - start_ns))


def _times(work: StepWork) -> tuple[Times, Times]:
    return work.came_ns, work.left_ns


def _variation(gaps: NDArray[np.float64], services: NDArray[np.float64]) -> float:
    """As if neighbours did not resemble each other, or what groups of them show if that is more."""
    gaps, services = gaps / gaps.mean(), services / (services.mean() or 1.0)
    alone = float(gaps.var() + services.var())
    return max(alone, _of_groups(gaps) + _of_groups(services), LEAST_VARIATION)


def _of_groups(values: NDArray[np.float64]) -> float:
    length = len(values) // NUM_GROUPS
    if not length:
        return 0.0
    return length * float(values[-NUM_GROUPS * length :].reshape(NUM_GROUPS, length).mean(axis=1).var(ddof=1))
