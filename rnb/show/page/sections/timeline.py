"""Latency over time and the throughput under it, with what happened meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnb.analysis.timeline import MAX_POINTS, PER_TAIL_SLICE, Slices, Timeline
from rnb.show.page.charts import Chart, Line, Reference, legend
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.scales import Scale, exactly, linear, wide
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details

MAX_OPEN = 4
"""Of more runs the pictures are folded up."""
ROWS = 4
"""The names of so many events stand below each other."""
SLOWEST, P99, P50 = "var(--muted)", "var(--colour-1)", "var(--colour-0)"
OFFERED, SERVED = "var(--muted)", "var(--colour-5)"


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [(run, run.findings.timeline) for run in runs if run.findings.timeline]
    if not shown:
        return None
    explanation = (
        "The latency of each request, or of slices of time with many of them the p50, the p99 and the "
        "slowest one, at the time when it was due (when it ended, where all came at once); below it how many "
        f"finished each second. A p99 stands where a slice of {PER_TAIL_SLICE:,} requests on average has "
        "enough. Upright lines are what happened. Drag over any chart to look closer; with the keyboard it "
        "is + and -, and ← and → move. Escape goes back."
    )
    latencies = [_latencies(line, len(shown)) for _, line in shown]
    y = _latency_scale([line for lines in latencies for line in lines])
    y_rate = _rate_scale([line for _, one in shown for line in _rates(one)])
    pictures = [
        _pictures(run, (_Picture(y, lines), _Picture(y_rate, _rates(line))), is_alone=len(shown) == 1)
        for (run, line), lines in zip(shown, latencies, strict=True)
    ]
    folded = pictures if len(shown) <= MAX_OPEN else details(f"{len(shown)} runs", pictures)
    return tag("section", tag("h2", "Latency over time"), tag("p", explanation, class_="note"), folded)


class _Picture(NamedTuple):
    """What one chart shows, on a scale that all runs share."""

    y: Scale
    lines: Sequence[Line]


def _pictures(run: Subject, pictures: tuple[_Picture, _Picture], *, is_alone: bool) -> Content:
    heading = None if is_alone else tag("h3", run.badge, f" {run.label}")
    latencies, rates = pictures
    events = _events(run)
    charts = [
        _chart("Latency over time", run, latencies, events, height_px=260),
        _chart("Throughput over time", run, rates, _unnamed(events), height_px=120),
    ]
    return tag("div", heading, charts, data_run=None if is_alone else run.letter)


def _chart(
    title: str, run: Subject, picture: _Picture, events: Sequence[Reference], *, height_px: int
) -> Content:
    chart = Chart(
        title=f"{title}, {run.name}",
        caption=title,
        x=exactly(0.0, run.findings.seconds, "s"),
        y=picture.y,
        x_name="since the start of the measured phase",
        lines=picture.lines,
        references=events,
        is_thin=True,
        max_points=MAX_POINTS,
        height_px=height_px,
        linked=f"time-{run.letter}",
    )
    return [legend([(line.name, line.colour, "", "") for line in picture.lines]), chart.draw()]


def _latencies(line: Timeline, num_runs: int) -> list[Line]:
    """Points, as long as those of all runs together are not too many."""
    has_points = line.at_s is not None and len(line.at_s) * num_runs <= MAX_POINTS
    return _points(line) if has_points else _slices(line)


def _points(line: Timeline) -> list[Line]:
    assert line.at_s is not None
    assert line.latency_ms is not None
    return [
        Line(name="a request", x=line.at_s, y=line.latency_ms, colour=P50, has_dots=True, is_joined=False)
    ]


def _slices(line: Timeline) -> list[Line]:
    known = [("slowest", line.slowest_ms, SLOWEST), ("p99", line.p99_ms, P99), ("p50", line.p50_ms, P50)]
    return [_line(name, slices, colour) for name, slices, colour in known if slices]


def _rates(line: Timeline) -> list[Line]:
    known = [("due", line.offered_per_s, OFFERED), ("finished", line.served_per_s, SERVED)]
    return [_line(name, slices, colour) for name, slices, colour in known if slices]


def _line(name: str, slices: Slices, colour: str) -> Line:
    return Line(name=name, x=slices.middles_s, y=slices.values, colour=colour)


def _latency_scale(lines: Sequence[Line]) -> Scale:
    return wide(
        float(min(np.nanmin(line.y) for line in lines if np.isfinite(line.y).any())),
        float(max(np.nanmax(line.y) for line in lines if np.isfinite(line.y).any())),
        "ms",
    )


def _rate_scale(lines: Sequence[Line]) -> Scale:
    return linear(max(float(line.y.max()) for line in lines), "/s")


def _events(run: Subject) -> list[Reference]:
    """In order of time; the names of neighbours stand in different rows."""
    steady = run.findings.summary.steady_state
    cut = [(steady.start_s, None, "steady from here")] if steady.is_steady and steady.start_s else []
    stalls = [(stall.start_s, stall.end_s, stall.text) for stall in run.findings.stalls]
    found = sorted([*cut, *stalls, *run.findings.faults], key=lambda event: event[0])
    return [
        Reference(axis="x", value=at_s, until=until_s, name=text, row=number % ROWS)
        for number, (at_s, until_s, text) in enumerate(found)
    ]


def _unnamed(events: Sequence[Reference]) -> list[Reference]:
    return [Reference(axis=one.axis, value=one.value, until=one.until, name="") for one in events]
