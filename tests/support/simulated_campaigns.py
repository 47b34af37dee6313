"""A player that plays nothing: each run is simulated, so that a campaign ends at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rnb.analysis.summary import summarize
from rnb.analysis.verdict import judge
from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.outcome import Outcome
from rnb.contract.events import DUE, SENT
from rnb.contract.termination import Termination
from rnb.record.run import Run
from rnb.spec import RunSpec
from tests.support.simulated_runs import simulate

MOST_PER_S = 250.0
"""What the simulated loader can take."""


@dataclass(kw_only=True)
class SimulatedPlayer:
    """In the place of real runs; a rate far beyond what the pipeline takes fills a queue."""

    speeds: Callable[[int], float] = lambda number: 1.0
    """How fast the pipeline is in the n-th run, from 1."""
    late_from_per_s: float = math.inf
    fails_at: int = -1
    fails_from: int = 1_000_000
    """Live streams; the pipeline cannot even start with so many."""
    full_at: int = -1
    interrupted_at: int = -1
    specs: list[RunSpec] = field(default_factory=list)
    """The runs so far."""

    def __call__(self, spec: RunSpec, logs: Path, ending: EarlyEnd | None = None) -> Outcome:
        self.specs.append(spec)
        number, load = len(self.specs), spec.load
        rate_per_s = 1e3 / (load.mean_interval_ms or 0.01)
        num_requests = load.warmup + (load.videos or round((load.duration or 0) * rate_per_s))
        run = simulate(
            logs / f"run{number}",
            num_requests=num_requests,
            rate_per_s=rate_per_s,
            speed=self.speeds(number),
            seed=load.seed,
            has_telemetry=False,
            flags=spec.flags(),
        )
        run.args["mean_interval_ms"] = load.mean_interval_ms
        run.requests["is_warmup"] = np.arange(num_requests) < load.warmup
        if number == self.fails_at:
            _fail(run, "step 1.0 was killed by SIGKILL")
            return outcome_of(run)
        if (load.streams or 0) >= self.fails_from:
            _fail(run, "step 0.0: OutOfMemoryError: no session for a stream")
            return outcome_of(run)
        if number == self.full_at or (load.mean_interval_ms and rate_per_s > 2 * MOST_PER_S):
            _fill_a_queue(run)
        elif ending:
            end_early(run, ending)
        if rate_per_s > self.late_from_per_s:
            run.times[SENT] = run.times[DUE] + 5_000_000
        if number == self.interrupted_at:
            raise KeyboardInterrupt
        return outcome_of(run)


def outcome_of(run: Run) -> Outcome:
    return Outcome(run=run, summary=summarize(run), verdict=judge(run), problem=run.meta.message)


def end_early(run: Run, ending: EarlyEnd) -> None:
    """Interrupt a simulated run as `ending` would: what was not done by then is never done."""
    is_over = run.is_measured & (run.latency_ms > ending.bound_ms)
    over_ns = np.sort(run.due_ns[is_over]) + round(ending.bound_ms * 1e6)
    if len(over_ns) <= ending.max_over:
        return
    now_ns = int(over_ns[ending.max_over])
    ending.has_ended = True
    run.requests["status"][run.ends_ns > now_ns] = "unfinished"
    run.meta.end_epoch_ns = now_ns
    run.meta.termination_flag, run.meta.termination = Termination.INTERRUPTED, "INTERRUPTED"
    _fail(run, "interrupted")


def _fail(run: Run, message: str) -> None:
    run.meta.is_success, run.meta.message = False, message


def _fill_a_queue(run: Run) -> None:
    run.requests["status"][100:] = "refused"
    run.meta.termination_flag = Termination.FRAME_QUEUE_FULL
    run.meta.termination = "FRAME_QUEUE_FULL"
    run.meta.full_queue = "frame queue 0"
    _fail(run, "frame queue 0 is full")
