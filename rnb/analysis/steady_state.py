"""Whether a run kept its level over the measured phase, and from when on it did.

The latency, which is what a run reports, is never looked at: who picks the part of a run by its latency picks
the result. What is looked at is what makes the latency:

- *arrivals* and the *service* of each step, in 40 equal spans, by the tests of rnb/analysis/level_tests.py;
- the *backlog*, whether the pipeline keeps up (rnb/analysis/backlog.py);
- *pauses* (rnb/analysis/pauses.py);
- the number *in the system*, by the same tests, where the run is so long that it must be level by now.

Of a bulk run, whose queues can only drain, it is the throughput, and pauses. Each can have changed, not have
changed, or leave it open, when so few requests could hide what matters.

Where the whole phase is not steady, its first part, at most a third, is left out by the rule MSER, on the
number in the system (White, *An effective truncation heuristic for bias reduction in simulation output*,
Simulation 69(6), 1997), and the rest is tested once more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnb.analysis.backlog import Backlog
from rnb.analysis.examination import Examination, examine, examine_bulk
from rnb.analysis.level_tests import NUM_SPANS, Change, Series, Stretch
from rnb.analysis.pauses import Pauses
from rnb.analysis.queue_depth import in_system
from rnb.analysis.slack import Slack
from rnb.analysis.step_work import step_work
from rnb.analysis.utilization import busiest_step, worker_utilizations
from rnb.contract.events import SENT, Event, EventKind
from rnb.record.run import Run

MIN_REQUESTS = 5 * NUM_SPANS
"""Fewest finished requests for the tests."""
BULK_SHARE = 0.01
"""When all requests are due within this share of the measured phase, it is a bulk run."""
START_SHARE = 0.4
"""What is found in the first so much of the phase alone is of its start."""
COLD_SHARE = 0.1
"""A pause is of the start only if it begins within so much: later ones are no warming up."""


@dataclass(frozen=True, kw_only=True)
class SteadyState:
    """The verdict on a run. Times in seconds from the start of the measured phase."""

    is_steady: bool | None
    """None: it cannot be told."""
    start_s: float | None
    end_s: float | None
    """The part that was tested last; when is_steady, it is the steady window."""
    is_cut: bool
    """Whether what came before that part is left out, because it was different."""
    changes: list[Change]
    """The tests on that part."""
    backlog: Backlog | None
    """None of a bulk run."""
    pauses: Pauses | None
    """The worst in that part, large or not; None where there were none."""
    slack: Slack | None
    """Of that part; None of a bulk run."""
    reason: str
    """In one line: what is not steady, or why it cannot be told; empty when it is."""
    num_needed: int | None
    """How many requests would probably tell; None where it is told, or is not known."""


def is_bulk(run: Run) -> bool:
    """Whether all measured requests were due at once, as with -mi 0: then queues can only drain."""
    due_ns = run.due_ns[run.is_measured]
    return len(due_ns) > 1 and float(np.ptp(due_ns)) < BULK_SHARE * run.seconds * 1e9


def find_steady_state(run: Run) -> SteadyState:
    """Test a run.

    What is tested ends with the last arrival: after it, queues only drain. Of a bulk run it is from the first
    request that finishes until the busiest step takes its last one.
    """
    ends_s = np.sort((run.ends_ns[run.ended_as("finished")] - run.window_ns[0]) / 1e9)
    bulk = is_bulk(run)
    stretch = _bulk_stretch(run, ends_s) if bulk else (0.0, _last_due_s(run))
    num_finished = int(np.diff(np.searchsorted(ends_s, stretch))[0])
    if num_finished < MIN_REQUESTS or stretch[1] <= stretch[0]:
        return _too_few(num_finished)
    work = list(step_work(run))

    def test(part: Stretch) -> Examination:
        return examine_bulk(run, work, ends_s, part) if bulk else examine(run, work, part)

    whole = test(stretch)
    if whole.found and not whole.has_pause_after(_at(stretch, COLD_SHARE)):
        start_s = _end_of_transient(run, ends_s, stretch)
        if start_s > stretch[0] and np.count_nonzero(ends_s >= start_s) >= MIN_REQUESTS:
            rest = test((start_s, stretch[1]))
            is_of_start = whole.is_of_start(_at(stretch, START_SHARE))
            if rest.is_steady or (rest.is_steady is None and is_of_start):
                return _outcome(rest, (start_s, stretch[1]), is_cut=True)
    return _outcome(whole, stretch, is_cut=False)


def _at(stretch: Stretch, share: float) -> float:
    return stretch[0] + share * (stretch[1] - stretch[0])


def _outcome(examined: Examination, stretch: Stretch, *, is_cut: bool) -> SteadyState:
    needed = [one.num_needed for one in examined.untold]
    is_known = examined.is_steady is None and None not in needed
    return SteadyState(
        is_steady=examined.is_steady,
        start_s=stretch[0],
        end_s=stretch[1],
        is_cut=is_cut,
        changes=examined.changes,
        backlog=examined.backlog,
        pauses=examined.pauses,
        slack=examined.slack,
        reason="; ".join(examined.found or [one.text for one in examined.untold]),
        num_needed=max(number for number in needed if number is not None) if is_known else None,
    )


def _too_few(num_finished: int) -> SteadyState:
    return SteadyState(
        is_steady=None,
        start_s=None,
        end_s=None,
        is_cut=False,
        changes=[],
        backlog=None,
        pauses=None,
        slack=None,
        reason=f"{num_finished} requests finished while it could be steady, the test needs {MIN_REQUESTS}",
        num_needed=MIN_REQUESTS,
    )


def _last_due_s(run: Run) -> float:
    """When the last measured request was due, in seconds from the start of the measured phase."""
    due_ns = run.due_ns[run.is_measured]
    return float(int(due_ns.max()) - run.window_ns[0]) / 1e9 if len(due_ns) else 0.0


def _bulk_stretch(run: Run, ends_s: Series) -> Stretch:
    step = busiest_step(worker_utilizations(run))
    taken = run.segments(Event(EventKind.TAKEN, run.num_steps - 1 if step is None else step))
    taken = taken or run.segments(SENT)  # of a server nobody knows when it takes a request
    last_ns = max((int(column.max()) for column in taken.values()), default=0)
    in_phase = ends_s[ends_s >= 0]
    return float(in_phase[0]) if len(in_phase) else 0.0, (last_ns - run.window_ns[0]) / 1e9


def _end_of_transient(run: Run, ends_s: Series, stretch: Stretch) -> float:
    """By the number in the system; of a bulk run, by the throughput."""
    edges_s = np.linspace(*stretch, NUM_SPANS + 1)
    rates = np.diff(np.searchsorted(ends_s, edges_s)).astype(np.float64)
    values = rates if is_bulk(run) else in_system(run).means(edges_s)
    return float(edges_s[num_transient(values)])


def num_transient(values: Series) -> int:
    """How many of the first values to leave out, up to a third, for the least standard error of the rest."""
    count = len(values)
    errors = [float(np.var(values[skipped:])) / (count - skipped) for skipped in range(count // 3 + 1)]
    return int(np.argmin(errors))
