"""How long things took: each stage of each request, and the distribution of each stage.

Latency counts from when a request was scheduled, so a late client hides nothing. A stage's duration is the
difference of two timestamps of a request; where the request is split into segments, their mean.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.intervals import Interval, evidence_needed, mean_interval, percentile_interval
from rnb.contract.events import DUE, END_TO_END, LATENESS, SENT, SERVICE, Event, Stage
from rnb.record.run import Run, Times

Rows = NDArray[np.intp] | NDArray[np.bool_]

PERCENTILES = (50, 90, 95, 99, 99.9)
MIN_COUNTS = {50: 1, 90: 64, 95: 130, 99: 662, 99.9: 6636}
"""Fewest requests for a percentile. All but the first are LoadGen's: the fewest with which one request over a
bound still shows, with 99 % confidence, that the percentile is under it."""


@dataclass(frozen=True, kw_only=True)
class Durations:
    """The distribution of one duration over the finished requests, in ms."""

    stage: Stage
    count: int
    mean_ms: float | None
    percentiles_ms: dict[str, float | None]
    """By 'p50' …; None where there are too few requests for the percentile."""
    max_ms: float | None
    intervals_ms: dict[str, Interval | None]
    """95 % intervals, by 'mean' and 'p50' …; None where there is too little evidence."""

    def to_json(self, step_names: Sequence[str]) -> dict[str, Any]:
        """The stage goes by its title."""
        figures = asdict(self)
        del figures["stage"]
        return {"name": self.stage.title(step_names), **figures}


def percentile_name(percent: float) -> str:
    return f"p{percent:g}"


def describe(stage: Stage, values_ms: NDArray[np.float64], evidence: float = 0.0) -> Durations:
    """Of a series in order of arrival; NaN: the request has none.

    A percentile is the nearest rank: the smallest value that p % do not exceed. `evidence`: how much the run
    tells (Slack.evidence), for the intervals.
    """
    values_ms = values_ms[~np.isnan(values_ms)]
    in_order, count = np.sort(values_ms), len(values_ms)
    percentiles: dict[str, float | None] = {percentile_name(percent): None for percent in PERCENTILES}
    intervals: dict[str, Interval | None] = dict.fromkeys(["mean", *percentiles])
    if evidence >= evidence_needed():
        intervals["mean"] = mean_interval(values_ms, evidence)
    for percent in PERCENTILES:
        if count >= MIN_COUNTS[percent]:
            key, value = percentile_name(percent), nearest_rank(in_order, percent)
            percentiles[key] = value
            if evidence >= evidence_needed(percent):
                intervals[key] = percentile_interval(values_ms, in_order, percent, value, evidence)
    return Durations(
        stage=stage,
        count=count,
        mean_ms=float(values_ms.mean()) if count else None,
        percentiles_ms=percentiles,
        max_ms=float(in_order[-1]) if count else None,
        intervals_ms=intervals,
    )


def nearest_rank(in_order: NDArray[np.float64], percent: float) -> float:
    """The smallest of the sorted values that `percent` % do not exceed."""
    rank = math.ceil(round(percent * len(in_order) / 100, 9))  # 99.9 % of 1000 is 999, not 999.0000000001
    return float(in_order[max(rank, 1) - 1])


def stage_durations_ms(run: Run, rows: Rows) -> dict[Stage, NDArray[np.float64]]:
    """The duration of each stage of these requests, and of the whole; NaN where one did not get there."""
    merged = merge_segments({event: times[rows] for event, times in run.times.items()})
    if not merged:
        return {}
    stages = {
        Stage.between(before, after): _between_ms(merged[before], merged[after])
        for before, after in itertools.pairwise(merged)
        if before != DUE
    }
    first_ns, last_ns = next(iter(merged.values())), run.ends_ns[rows]
    if DUE in merged:
        stages[LATENESS] = _between_ms(merged[DUE], merged[SENT])
    if SENT in merged:
        stages[SERVICE] = _between_ms(merged[SENT], last_ns)
    stages[END_TO_END] = _between_ms(first_ns, last_ns)
    return stages


def part_durations_ms(run: Run, rows: Rows) -> dict[Stage, NDArray[np.float64]]:
    """Of the stages that add up to the latency, in the order in which a request meets them."""
    stages = {stage: values for stage, values in stage_durations_ms(run, rows).items() if stage.is_part}
    first = [LATENESS] if LATENESS in stages else []
    return {stage: stages[stage] for stage in (*first, *(stage for stage in stages if stage != LATENESS))}


def _between_ms(before_ns: Times, after_ns: Times) -> NDArray[np.float64]:
    between_ms: NDArray[np.float64] = (after_ns - before_ns) / 1e6
    between_ms[(before_ns == 0) | (after_ns == 0)] = np.nan
    return between_ms


def merge_segments(times: Mapping[Event, Times]) -> dict[Event, Times]:
    """One timestamp for each event: the mean of its segments, in the order of the events."""
    parts: dict[Event, list[Times]] = {}
    for event, column in times.items():
        parts.setdefault(event.whole, []).append(column)
    return {event: columns[0] if len(columns) == 1 else _mean(columns) for event, columns in parts.items()}


def _mean(parts: Sequence[Times]) -> Times:
    # Epoch nanoseconds do not fit a float64, so only the offsets from the first segment are averaged.
    offsets = np.mean([part - parts[0] for part in parts], axis=0)
    mean: Times = parts[0] + np.round(offsets).astype(np.int64)
    return mean
