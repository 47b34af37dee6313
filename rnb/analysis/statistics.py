"""What the timestamps of a run say: throughput, latency, and where the time went.

Latency counts from when a request was scheduled, so a late client hides nothing. A stage's duration is the
difference of two timestamps of a request; where the request is split into segments, their mean.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUMMARY_VERSION = 1
PERCENTILES = (50, 90, 99)
MIN_COUNTS = {50: 1, 90: 64, 99: 662}
"""Fewest requests for a percentile. For 90 and 99 they are LoadGen's: the fewest with which one request over
a bound still shows, with 99 % confidence, that the percentile is under it."""
NUM_SUMMARY_SKIPS = 10
"""The seed leaves the first requests out of its averages."""

_EVENT = re.compile(r"(?P<name>.+?)(-(?P<segment>\d+))?")


@dataclass(frozen=True, kw_only=True)
class Durations:
    """The distribution of one duration over the finished requests, in ms."""

    name: str
    count: int
    mean_ms: float | None
    percentiles_ms: dict[str, float | None]
    """By 'p50'; None where there are too few requests for the percentile."""
    max_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    num_scheduled: int
    num_sent: int
    num_refused: int
    num_failed: int
    num_finished: int
    seconds: float
    videos_per_s: float
    clips_per_s: float | None
    durations: list[Durations]
    """Each stage in order, then lateness, service time and end-to-end latency."""

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": SUMMARY_VERSION, **asdict(self)}


def summarize(
    events: Sequence[str],
    times: Mapping[str, NDArray[np.int64]],
    requests: Mapping[str, Any],
    *,
    seconds: float,
    step_names: Sequence[str] = (),
) -> Summary:
    """Statistics of a run; `times` in ns by event, `seconds` from its start to its end."""
    status = np.asarray(requests["status"])
    finished = status == "finished"
    stages = stage_durations_ms(events, {event: times[event][finished] for event in events}, step_names)
    sent = times["enqueue_filename"] if "enqueue_filename" in times else next(iter(times.values()))
    num_clips = int(np.asarray(requests["num_clips"])[finished].sum()) if "num_clips" in requests else None
    return Summary(
        num_scheduled=len(status),
        num_sent=int(np.count_nonzero(sent)),
        num_refused=int(np.count_nonzero(status == "refused")),
        num_failed=int(np.count_nonzero(status == "failed")),
        num_finished=int(np.count_nonzero(finished)),
        seconds=seconds,
        videos_per_s=float(np.count_nonzero(finished)) / seconds if seconds > 0 else 0.0,
        clips_per_s=None if num_clips is None or seconds <= 0 else num_clips / seconds,
        durations=[describe(name, values) for name, values in stages.items()],
    )


def describe(name: str, values_ms: NDArray[np.float64]) -> Durations:
    """Mean, maximum, and the nearest-rank percentiles: the smallest value that p % do not exceed."""
    count = len(values_ms)
    enough = [p for p in PERCENTILES if count >= MIN_COUNTS[p]]
    found = np.percentile(values_ms, enough, method="inverted_cdf") if enough else ()
    by_percentile = dict(zip(enough, map(float, found), strict=True))
    return Durations(
        name=name,
        count=count,
        mean_ms=float(values_ms.mean()) if count else None,
        percentiles_ms={f"p{p}": by_percentile.get(p) for p in PERCENTILES},
        max_ms=float(values_ms.max()) if count else None,
    )


def stage_durations_ms(
    events: Sequence[str], times: Mapping[str, NDArray[np.int64]], step_names: Sequence[str] = ()
) -> dict[str, NDArray[np.float64]]:
    """The duration of each stage of each request, and of the whole."""
    merged = merge_segments(events, times)
    names = list(merged)
    stages = {
        _stage_name(before, after, step_names): (merged[after] - merged[before]) / 1e6
        for before, after in itertools.pairwise(names)
        if before != "scheduled"
    }
    last = np.max([times[event] for event in events], axis=0) if events else np.zeros(0)
    if "scheduled" in merged:
        stages["lateness of the client"] = (merged["enqueue_filename"] - merged["scheduled"]) / 1e6
    if "enqueue_filename" in merged:
        stages["service (from sending)"] = (last - merged["enqueue_filename"]) / 1e6
    if names:
        stages["end to end"] = (last - merged[names[0]]) / 1e6
    return stages


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


def _stage_name(before: str, after: str, step_names: Sequence[str]) -> str:
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


def table(summary: Summary) -> str:
    """The summary as a text table."""
    header = ["", "mean", *(f"p{p}" for p in PERCENTILES), "max ms"]
    rows = [header]
    for entry in summary.durations:
        values = [entry.mean_ms, *entry.percentiles_ms.values(), entry.max_ms]
        rows.append([entry.name, *("-" if value is None else f"{value:.3f}" for value in values)])
    lines = align(rows)
    if any(None in entry.percentiles_ms.values() for entry in summary.durations):
        lines.append(
            "- : too few requests for this percentile; "
            + ", ".join(f"p{p} needs {MIN_COUNTS[p]}" for p in PERCENTILES if MIN_COUNTS[p] > 1)
        )
    clips = "" if summary.clips_per_s is None else f", {summary.clips_per_s:.1f} clips/s"
    lines.append(f"{summary.videos_per_s:.2f} videos/s{clips} over {summary.seconds:.2f} s")
    lines.append(
        f"requests: {summary.num_scheduled} scheduled, {summary.num_sent} sent,"
        f" {summary.num_refused} refused, {summary.num_failed} failed, {summary.num_finished} finished"
    )
    return "\n".join(lines)


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
