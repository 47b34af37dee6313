"""Does RnB measure what queueing theory says of steps with known service times?

Each case is a run of the real harness. Requests must wait as long as theory says, on average and at the p99:
the measured 95 % interval has to meet the range from theory to theory with the harness's own cost. That cost
is measured in the same run, stated, and bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.intervals import Interval, half_width, percentile_interval
from rnb.analysis.statistics import nearest_rank
from rnb.analysis.theory import MD1, MMc, Queue
from rnb.campaigns.campaign import Player
from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.home import HOME
from rnb.load.load import Load
from rnb.pipeline.config import read_config
from rnb.record.run import Run
from rnb.spec import Placement, RunSpec

STARTED, DONE = Event(EventKind.STARTED, 0), Event(EventKind.FINISHED, 0)
NUM_WARMUP = 100
MAX_HOP_SHARE, MAX_TURNAROUND_SHARE = 0.2, 0.1
"""Of the service time; above, the machine is too slow, or too busy with other work, for this check."""
PERCENTILE = 99


class SelfCheckError(RuntimeError):
    """A run of the check failed: one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A queue of which theory knows all, and the config that plays it."""

    name: str
    config: str
    service_ms: float
    """Mean; the config says the same."""
    num_servers: int
    is_exponential: bool
    num_requests: int
    load: float = 0.6
    seed: int
    """Of a schedule for which an ideal queue has theory's mean and p99; with others it is off by a tenth."""

    @property
    def mean_interval_ms(self) -> float:
        return self.service_ms / self.num_servers / self.load

    @property
    def seconds(self) -> float:
        """How long it plays, on average."""
        return (NUM_WARMUP + self.num_requests) * self.mean_interval_ms / 1000

    def spec(self) -> RunSpec:
        """The run that plays it."""
        return RunSpec(
            config=read_config(HOME / "config" / self.config),
            load=Load(
                mean_interval_ms=self.mean_interval_ms,
                videos=self.num_requests,
                warmup=NUM_WARMUP,
                seed=self.seed,
            ),
            placement=Placement(queue_size=NUM_WARMUP + self.num_requests),
        )

    def queue(self, service_ms: float) -> Queue:
        rate = 1 / self.mean_interval_ms
        if self.is_exponential:
            return MMc(rate=rate, service=service_ms, num_servers=self.num_servers)
        return MD1(rate=rate, service=service_ms)


CASES = (
    Case(
        name="M/D/1",
        config="queueing-md1.json",
        service_ms=6,
        num_servers=1,
        is_exponential=False,
        num_requests=1800,
        seed=441,
    ),
    Case(
        name="M/M/2",
        config="queueing-mm2.json",
        service_ms=9,
        num_servers=2,
        is_exponential=True,
        num_requests=2400,
        seed=213,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """What the harness adds, on average."""

    hop_ms: float
    """From when a request is due until its service begins, where a server is free."""
    turnaround_ms: float
    """From the end of a service to the beginning of the next, where a request waits, and what a service takes
    longer than it should: a server is occupied so much longer by each request."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure against theory, in ms."""

    name: str
    theory_ms: float
    with_overhead_ms: float
    """The same queue with the harness's cost."""
    measured_ms: float
    interval_ms: Interval | None

    @property
    def is_met(self) -> bool:
        """Whether the interval and the range from theory to theory with overhead have a value in common."""
        if self.interval_ms is None:
            return False
        high = self.interval_ms.high
        return self.interval_ms.low <= self.with_overhead_ms and (high is None or high >= self.theory_ms)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a case's run compares with theory."""

    case: Case
    folder: Path | None
    overhead: Overhead
    rows: list[Row] = field(default_factory=list)
    """None where the overhead is too large for theory to say anything."""

    @property
    def problems(self) -> list[str]:
        limits = (
            ("a free server takes a request after", self.overhead.hop_ms, MAX_HOP_SHARE),
            ("a server loses between requests", self.overhead.turnaround_ms, MAX_TURNAROUND_SHARE),
        )
        slow = [
            f"{self.case.name}: {what} {cost_ms:.3f} ms, of at most {share * self.case.service_ms:.3f} ms;"
            " run it where nothing else does"
            for what, cost_ms, share in limits
            if cost_ms > share * self.case.service_ms
        ]
        return slow or [
            f"{row.name}: the interval does not meet what theory says" for row in self.rows if not row.is_met
        ]


def play(case: Case, logs: Path, player: Player) -> Run:
    """Play a case. Raises SelfCheckError, UsageError."""
    outcome = player(case.spec(), logs)
    if not outcome.is_success:
        raise SelfCheckError(f"{case.name}: {outcome.problem}")
    return outcome.run


def compare(case: Case, run: Run) -> Agreement:
    """The waits of a run against those of theory."""
    overhead = measure_overhead(run, case.num_servers)
    outcome = Agreement(case=case, folder=run.folder, overhead=overhead)
    if outcome.problems:
        return outcome
    waits_ms = ((run.times[STARTED] - run.times[DUE]) / 1e6)[run.is_measured]
    theory, slowed = case.queue(case.service_ms), case.queue(case.service_ms + overhead.turnaround_ms)
    in_order = np.sort(waits_ms)
    p99_ms = nearest_rank(in_order, PERCENTILE)
    outcome.rows.extend(
        [
            Row(
                name=f"{case.name} mean wait",
                theory_ms=theory.mean_wait(),
                with_overhead_ms=slowed.mean_wait() + overhead.hop_ms,
                measured_ms=float(waits_ms.mean()),
                interval_ms=_around(float(waits_ms.mean()), half_width(waits_ms)),
            ),
            Row(
                name=f"{case.name} p99 of the wait",
                theory_ms=theory.wait_percentile(PERCENTILE),
                with_overhead_ms=slowed.wait_percentile(PERCENTILE) + overhead.hop_ms,
                measured_ms=p99_ms,
                interval_ms=percentile_interval(waits_ms, in_order, PERCENTILE, p99_ms),
            ),
        ]
    )
    return outcome


def _around(value: float, half: float) -> Interval:
    return Interval(low=value - half, high=value + half)


def measure_overhead(run: Run, num_servers: int) -> Overhead:
    """What the harness adds, in a run of one step of which each result's score is the service time in ms."""
    due, start, finish = (run.times[event] for event in (DUE, STARTED, DONE))
    num_ahead = np.arange(len(due)) - np.searchsorted(np.sort(finish), due, side="right")
    hops_ms = ((start - due) / 1e6)[num_ahead < num_servers]
    services_ms = (finish - start) / 1e6
    return Overhead(
        hop_ms=_mean(hops_ms),
        turnaround_ms=_mean(_gaps_ms(run)) + _mean(services_ms - run.requests["score"]),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _gaps_ms(run: Run) -> NDArray[np.float64]:
    """From the end of a service to the next one of the worker, where the next request was there by then."""
    gaps = []
    server = np.stack([run.requests["replica0"], run.requests["worker0"]], axis=1)
    for one in np.unique(server, axis=0):
        rows = np.flatnonzero((server == one).all(axis=1))
        rows = rows[np.argsort(run.times[STARTED][rows])]
        free_ns = run.times[DONE][rows[:-1]]
        waited = run.times[SENT][rows[1:]] < free_ns
        gaps.append(((run.times[STARTED][rows[1:]] - free_ns) / 1e6)[waited])
    return np.concatenate(gaps)
