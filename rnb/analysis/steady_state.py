"""Whether throughput and queues kept their level over the measured phase, and from when on they did.

The latency, which is what a run reports, is never looked at: who picks the part of a run by its latency picks
the result. What is looked at are 40 equal spans of time: the requests that finished in each, and the mean
number in the system during each. Two tests on each series, both at the 1 % level:

- *trend*: the slope of a line through the series, by least squares, against its standard error;
- *level shift*: the largest difference of the means before and after a point, over all points but those in
  the first and last 15 %, against its standard error. That a point was searched for is in the critical value
  (Andrews, *Tests for parameter instability and structural change with unknown change point*, Econometrica
  61(4), 1993; the value is of the corrigendum, Econometrica 71(1), 2003).

Neighbouring spans depend on each other, so the variance is multiplied by (1 + r) / (1 - r), where r is the
correlation of each span with the next (Zwiers and von Storch, *Taking serial correlation into account in
tests of the mean*, Journal of Climate 8(2), 1995). A change that is certain but small does not matter: see
MIN_CHANGE.

Where the whole phase is not steady, its first part, at most a third, is left out by the rule MSER, on the
number in the system (White, *An effective truncation heuristic for bias reduction in simulation output*,
Simulation 69(6), 1997), and the rest is tested once more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.queue_depth import in_system
from rnb.analysis.student_t import student_t
from rnb.analysis.utilization import busiest_step, worker_utilizations
from rnb.contract.events import Event, EventKind
from rnb.record.run import Run

NUM_SPANS = 40
MIN_REQUESTS = 5 * NUM_SPANS
"""Fewest finished requests for the tests."""
TREND_LIMIT = student_t(NUM_SPANS - 2, confidence=0.99)
"""Two parameters are fitted; 1 %, two-sided."""
SHIFT_LIMIT = math.sqrt(12.16)
"""The square root of Andrews' critical value: one parameter, 15 % trimmed, 1 %."""
TRIMMED_SHARE = 0.15
THROUGHPUT, IN_SYSTEM = "throughput", "requests in the system"
MIN_CHANGE = {THROUGHPUT: 0.05, IN_SYSTEM: 0.1}
"""Smaller changes do not count. Shares of the mean level; of the number in the system none below 1 counts."""
BULK_SHARE = 0.01
"""When all requests are due within this share of the measured phase, it is a bulk run."""
MOST_CORRELATION = 0.95

Series = NDArray[np.float64]
Stretch = tuple[float, float]
"""Start and end, in seconds from the start of the measured phase."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One test on one series."""

    series: str
    kind: str
    """'trend' or 'level shift'."""
    change: float
    """From the start to the end, or from before to after the shift, as a share of the mean level."""
    at_s: float | None
    """Where the level shifts, in seconds from the start of the measured phase; None for a trend."""
    statistic: float
    limit: float
    is_found: bool
    """The statistic is above its limit, and the change is large enough to matter."""


@dataclass(frozen=True, kw_only=True)
class SteadyState:
    """The verdict on a run. Times in seconds from the start of the measured phase."""

    is_steady: bool | None
    """None: it cannot be told."""
    start_s: float | None
    end_s: float | None
    """The part that was tested last; when is_steady, it is the steady window."""
    changes: list[Change]
    """The tests on that part."""
    reason: str
    """In one line: what is not steady, or why it cannot be told; empty when it is."""


def is_bulk(run: Run) -> bool:
    """Whether all measured requests were due at once, as with -mi 0: then queues can only drain."""
    due_ns = run.due_ns[run.is_measured]
    return len(due_ns) > 1 and float(np.ptp(due_ns)) < BULK_SHARE * run.seconds * 1e9


def find_steady_state(run: Run) -> SteadyState:
    """Test a run.

    What is tested ends with the last arrival: after it, queues only drain. Of a bulk run it is from the first
    request that finishes until the busiest step takes its last one, and only throughput is tested.
    """
    ends_s = np.sort((run.ends_ns[run.ended_as("finished")] - run.window_ns[0]) / 1e9)
    stretch = _bulk_stretch(run, ends_s) if is_bulk(run) else (0.0, _last_due_s(run))
    num_finished = int(np.diff(np.searchsorted(ends_s, stretch))[0])
    if num_finished < MIN_REQUESTS or stretch[1] <= stretch[0]:
        return _untold(
            f"{num_finished} requests finished while it could be steady, the test needs {MIN_REQUESTS}"
        )
    series = _series(run, ends_s, stretch)
    changes = find_changes(series, stretch)
    if any(change.is_found for change in changes):
        start_s = (
            stretch[0] + (stretch[1] - stretch[0]) * num_transient(_series_for_start(series)) / NUM_SPANS
        )
        if start_s > stretch[0] and np.count_nonzero(ends_s >= start_s) >= MIN_REQUESTS:
            stretch = (start_s, stretch[1])
            changes = find_changes(_series(run, ends_s, stretch), stretch)
    found = [change for change in changes if change.is_found]
    return SteadyState(
        is_steady=not found,
        start_s=stretch[0],
        end_s=stretch[1],
        changes=changes,
        reason="; ".join(map(describe_change, found)),
    )


def _untold(reason: str) -> SteadyState:
    return SteadyState(is_steady=None, start_s=None, end_s=None, changes=[], reason=reason)


def describe_change(change: Change) -> str:
    where = "" if change.at_s is None else f" at {change.at_s:.1f} s"
    return f"{change.series}: {change.kind} of {change.change:+.0%}{where}"


def _last_due_s(run: Run) -> float:
    """When the last measured request was due, in seconds from the start of the measured phase."""
    due_ns = run.due_ns[run.is_measured]
    return float(int(due_ns.max()) - run.window_ns[0]) / 1e9 if len(due_ns) else 0.0


def _bulk_stretch(run: Run, ends_s: Series) -> Stretch:
    step = busiest_step(worker_utilizations(run))
    taken = run.segments(Event(EventKind.TAKEN, run.num_steps - 1 if step is None else step))
    last_ns = max((int(column.max()) for column in taken.values()), default=0)
    in_phase = ends_s[ends_s >= 0]
    return float(in_phase[0]) if len(in_phase) else 0.0, (last_ns - run.window_ns[0]) / 1e9


def _series(run: Run, ends_s: Series, stretch: Stretch) -> dict[str, Series]:
    edges_s = np.linspace(*stretch, NUM_SPANS + 1)
    throughput = np.diff(np.searchsorted(ends_s, edges_s)) / np.diff(edges_s)
    if is_bulk(run):
        return {THROUGHPUT: throughput}
    return {THROUGHPUT: throughput, IN_SYSTEM: in_system(run).means(edges_s)}


def _series_for_start(series: Mapping[str, Series]) -> Series:
    return series.get(IN_SYSTEM, series[THROUGHPUT])


def find_changes(series: Mapping[str, Series], stretch: Stretch) -> list[Change]:
    """Both tests on each series, (NUM_SPANS,), of equal spans of the stretch."""
    return [test(name, values, stretch) for name, values in series.items() for test in (_trend, _shift)]


def _trend(name: str, values: Series, stretch: Stretch) -> Change:
    count = len(values)
    at = np.arange(count) - (count - 1) / 2
    slope = float(at @ values / (at @ at))
    residuals = values - values.mean() - slope * at
    error = math.sqrt(_variance(residuals) / float(at @ at))
    return _change(name, "trend", values, slope * (count - 1), None, _ratio(slope, error), TREND_LIMIT)


def _shift(name: str, values: Series, stretch: Stretch) -> Change:
    count = len(values)
    trimmed = math.ceil(TRIMMED_SHARE * count)
    num_before = np.arange(trimmed, count - trimmed + 1)
    sums = np.cumsum(values)
    before = sums[num_before - 1] / num_before
    after = (sums[-1] - sums[num_before - 1]) / (count - num_before)
    weight = np.sqrt(num_before * (count - num_before) / count)
    best = int(np.argmax(np.abs(after - before) * weight))
    split = int(num_before[best])
    residuals = values - np.where(np.arange(count) < split, before[best], after[best])
    step = float(after[best] - before[best])
    at_s = stretch[0] + (stretch[1] - stretch[0]) * split / count
    statistic = _ratio(step * float(weight[best]), math.sqrt(_variance(residuals)))
    return _change(name, "level shift", values, step, at_s, statistic, SHIFT_LIMIT)


def _change(
    name: str, kind: str, values: Series, change: float, at_s: float | None, statistic: float, limit: float
) -> Change:
    mean = float(values.mean())
    is_large = abs(change) > MIN_CHANGE[name] * mean and (name != IN_SYSTEM or abs(change) >= 1)
    return Change(
        series=name,
        kind=kind,
        change=change / mean if mean else 0.0,
        at_s=at_s,
        statistic=statistic,
        limit=limit,
        is_found=is_large and statistic > limit,
    )


def _variance(residuals: Series) -> float:
    """Of one span, as if the spans did not depend on each other; two parameters were fitted."""
    total = float(residuals @ residuals)
    correlation = float(residuals[1:] @ residuals[:-1]) / total if total else 0.0
    correlation = min(max(correlation, 0.0), MOST_CORRELATION)
    return total / (len(residuals) - 2) * (1 + correlation) / (1 - correlation)


def _ratio(value: float, error: float) -> float:
    # A series without any noise: whatever changes is certain. JSON knows no infinity.
    return abs(value) / error if error else (1e9 if value else 0.0)


def num_transient(values: Series) -> int:
    """How many of the first values to leave out, up to a third, for the least standard error of the rest."""
    count = len(values)
    errors = [float(np.var(values[skipped:])) / (count - skipped) for skipped in range(count // 3 + 1)]
    return int(np.argmin(errors))
