"""How long things took: each stage of each request, and the distribution of each stage.

Latency counts from when a request was scheduled, so a late client hides nothing. A stage's duration is the
difference of two timestamps of a request; where the request is split into segments, their mean.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.intervals import Interval, mean_interval, percentile_interval

PERCENTILES = (50, 90, 95, 99, 99.9)
MIN_COUNTS = {50: 1, 90: 64, 95: 130, 99: 662, 99.9: 6636}
"""Fewest requests for a percentile. All but the first are LoadGen's: the fewest with which one request over a
bound still shows, with 99 % confidence, that the percentile is under it."""
NUM_SUMMARY_SKIPS = 10
"""The seed leaves the first requests out of its averages."""
LATENESS, SERVICE, END_TO_END = "lateness of the client", "service (from sending)", "end to end"

_EVENT = re.compile(r"(?P<name>.+?)(-(?P<segment>\d+))?")


@dataclass(frozen=True, kw_only=True)
class Durations:
    """The distribution of one duration over the finished requests, in ms."""

    name: str
    count: int
    mean_ms: float | None
    percentiles_ms: dict[str, float | None]
    """By 'p50' …; None where there are too few requests for the percentile."""
    max_ms: float | None
    intervals_ms: dict[str, Interval | None]
    """95 % intervals, by 'mean' and 'p50' …; None where there are too few requests."""


def percentile_name(percent: float) -> str:
    return f"p{percent:g}"


def describe(name: str, values_ms: NDArray[np.float64]) -> Durations:
    """Of a series in order of arrival; NaN: the request has none.

    A percentile is the nearest rank: the smallest value that p % do not exceed.
    """
    values_ms = values_ms[~np.isnan(values_ms)]
    in_order, count = np.sort(values_ms), len(values_ms)
    percentiles: dict[str, float | None] = {percentile_name(percent): None for percent in PERCENTILES}
    intervals = {"mean": mean_interval(values_ms), **dict.fromkeys(percentiles)}
    for percent in PERCENTILES:
        if count >= MIN_COUNTS[percent]:
            key, value = percentile_name(percent), nearest_rank(in_order, percent)
            percentiles[key] = value
            intervals[key] = percentile_interval(values_ms, in_order, percent, value)
    return Durations(
        name=name,
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


def stage_durations_ms(
    events: Sequence[str], times: Mapping[str, NDArray[np.int64]], step_names: Sequence[str] = ()
) -> dict[str, NDArray[np.float64]]:
    """The duration of each stage of each request, and of the whole; NaN where it did not get there."""
    merged = merge_segments(events, times)
    names = list(merged)
    stages = {
        stage_name(before, after, step_names): _between_ms(merged[before], merged[after])
        for before, after in itertools.pairwise(names)
        if before != "scheduled"
    }
    if not events:
        return {}
    last: NDArray[np.int64] = np.max([times[event] for event in events], axis=0)
    if "scheduled" in merged:
        stages[LATENESS] = _between_ms(merged["scheduled"], merged["enqueue_filename"])
    if "enqueue_filename" in merged:
        stages[SERVICE] = _between_ms(merged["enqueue_filename"], last)
    stages[END_TO_END] = _between_ms(merged[names[0]], last)
    return stages


def _between_ms(before_ns: NDArray[np.int64], after_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    between_ms: NDArray[np.float64] = (after_ns - before_ns) / 1e6
    between_ms[(before_ns == 0) | (after_ns == 0)] = np.nan
    return between_ms


def merge_segments(
    events: Sequence[str], times: Mapping[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """One timestamp for each event: the mean of its segments, in the order of the events."""
    by_name: dict[str, list[NDArray[np.int64]]] = {}
    for event in events:
        match = _EVENT.fullmatch(event)
        assert match
        by_name.setdefault(match["name"], []).append(times[event])
    return {name: parts[0] if len(parts) == 1 else _mean(parts) for name, parts in by_name.items()}


def _mean(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    # Epoch nanoseconds do not fit a float64, so only the offsets from the first segment are averaged.
    offsets = np.mean([part - parts[0] for part in parts], axis=0)
    mean: NDArray[np.int64] = parts[0] + np.round(offsets).astype(np.int64)
    return mean


def stage_name(before: str, after: str, step_names: Sequence[str]) -> str:
    """What happens to a request between two events, of which the names are without a segment."""
    match = re.fullmatch(r"(runner|slot|inference|handoff)(\d+)_(start|finish)", after)
    if match is None:
        return f"{before} to {after}"
    step = int(match[2])
    if match[1] == "runner":
        return f"wait for step {step}"
    if match[1] == "handoff":
        return f"hand-off after step {step}"
    if f"slot{step}_finish" == after or before == f"slot{step}_start":
        return f"slot for step {step}"
    if match[3] == "start":
        return f"gather for step {step}"
    return f"step {step}" + (f" {step_names[step]}" if step < len(step_names) else "")


def average_lines(events: Sequence[str], times: Mapping[str, NDArray[np.int64]]) -> list[str]:
    """The seed's lines, over the given requests but the first NUM_SUMMARY_SKIPS where there are more."""
    merged = {name: values for name, values in merge_segments(events, times).items() if name != "scheduled"}
    names = list(merged)
    count = len(merged[names[0]])
    skips = NUM_SUMMARY_SKIPS if count > NUM_SUMMARY_SKIPS else 0
    if not count:
        return ["No request finished, so there are no averages."]
    return [
        f"Average time between {before} and {after}:"
        f" {float((merged[after] - merged[before])[skips:].mean()) / 1e6:f} ms"
        for before, after in itertools.pairwise(names)
    ]


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under each other: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
