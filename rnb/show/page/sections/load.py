"""Runs at several rates: up to where the pipeline keeps up, and what that costs in latency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rnb.analysis.load_curve import KEPT_UP, RATE_FLAGS, knee
from rnb.analysis.settings import group_key
from rnb.show.page.charts import Chart, Line, Reference
from rnb.show.page.markup import Markup, tag
from rnb.show.page.scales import Scale, linear, wide
from rnb.show.page.subject import Subject
from rnb.show.page.wording import number

PERCENTILES = ("p50", "p99")
MIN_SPREAD = 1.02
"""Of the rates; those of repeats differ by chance."""


def section(runs: Sequence[Subject]) -> Markup | None:
    """None unless there are runs at several rates."""
    rates = [run.findings.load.offered_per_s for run in runs if run.findings.load]
    if len(rates) < 2 or max(rates) < MIN_SPREAD * min(rates):
        return None
    series = _series(runs)
    x = linear(max(rates), "/s")
    charts = [
        *(chart.draw() for percentile in PERCENTILES if (chart := _latency(series, x, percentile))),
        _served(series, x).draw(),
    ]
    explanation = (
        "A point for each run; a line joins runs that differ in nothing but the load. The knee is the "
        f"highest offered rate up to which every run served at least {KEPT_UP:.0%} of what was offered."
    )
    no_knee = "None shows here: all runs of a line kept up, or none did."
    return tag(
        "section",
        tag("h2", "Latency against offered rate"),
        tag("p", explanation if _knees(series) else f"{explanation} {no_knee}", class_="note"),
        tag("div", charts, class_="grid-of-charts"),
    )


def _series(runs: Sequence[Subject]) -> list[list[Subject]]:
    """Runs with a rate, those together that are alike in all but the load, by rate."""
    kinds: dict[object, list[Subject]] = defaultdict(list)
    for run in sorted((run for run in runs if run.findings.load), key=_offered):
        settings = {key: value for key, value in run.findings.settings.items() if key not in RATE_FLAGS}
        kinds[group_key(settings)].append(run)
    return list(kinds.values())


def _offered(run: Subject) -> float:
    return run.findings.load.offered_per_s if run.findings.load else 0.0


def _latency(series: Sequence[Sequence[Subject]], x: Scale, percentile: str) -> Chart | None:
    known = [[run for run in kind if run.percentile_ms(percentile) is not None] for kind in series]
    values = [value for kind in known for run in kind if (value := run.percentile_ms(percentile)) is not None]
    if not values:
        return None
    points = [[(run, run.percentile_ms(percentile) or 0.0) for run in kind] for kind in known if kind]
    return _chart(f"{percentile} of the latency", points, x, wide(min(values), max(values), "ms"), series)


def _served(series: Sequence[Sequence[Subject]], x: Scale) -> Chart:
    points = [[(run, run.findings.load.served_per_s) for run in kind if run.findings.load] for kind in series]
    served = max(value for kind in points for _, value in kind)
    chart = _chart("Served rate", points, x, linear(max(served, x.high), "/s"), series)
    ends = np.array([0.0, x.high])
    even = Line(name="", x=ends, y=ends, colour="var(--muted)", is_faint=True)
    return Chart(**{**vars(chart), "lines": [even, *chart.lines]})


def _chart(
    title: str,
    points: Sequence[Sequence[tuple[Subject, float]]],
    x: Scale,
    y: Scale,
    series: Sequence[Sequence[Subject]],
) -> Chart:
    joined = [
        Line(
            name="",
            x=np.array([_offered(run) for run, _ in kind]),
            y=np.array([value for _, value in kind]),
            colour="var(--muted)",
        )
        for kind in points
    ]
    dots = [
        Line(
            name=run.letter,
            x=np.array([_offered(run)]),
            y=np.array([value]),
            colour=run.colour,
            run=run.letter,
            has_dots=True,
            is_joined=False,
        )
        for kind in points
        for run, value in kind
    ]
    return Chart(
        title=title,
        x=x,
        y=y,
        x_name="offered rate",
        lines=[*joined, *dots],
        labels=[(_offered(run), value, run.letter, run.letter) for kind in points for run, value in kind],
        references=_knees(series),
        height_px=260,
    )


def _knees(series: Sequence[Sequence[Subject]]) -> list[Reference]:
    found = [knee([run.findings.load for run in kind if run.findings.load]) for kind in series]
    return [
        Reference(axis="x", value=point.offered_per_s, name=f"knee {number(point.offered_per_s)}/s")
        for point in found
        if point
    ]
