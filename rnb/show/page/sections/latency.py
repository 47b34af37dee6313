"""How the requests' latencies are distributed, with room for the tail."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.latency_curve import LatencyCurve
from rnb.show.page.charts import Chart, Line, Reference, Whisker, legend
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.scales import Scale, percentiles, wide
from rnb.show.page.subject import Subject

MAX_TOGETHER = 8
"""Lines in one chart; more runs get a chart each."""
MAX_WITH_INTERVALS = 4
ASIDE = 0.008
"""Of the chart's width, between the intervals of two runs."""


def section(runs: Sequence[Subject]) -> Markup | None:
    curves = [(run, run.findings.latency) for run in runs if run.findings.latency]
    if not curves:
        return None
    explanation = (
        "From when a request was due to its result: so many per cent of the requests took no longer. Each "
        "nine of the percentile axis has the same room, and a line ends where there are too few requests to "
        "go on. Upright bars are 95 % intervals."
    )
    charts = _together(curves) if len(curves) <= MAX_TOGETHER else _one_by_one(curves)
    return tag("section", tag("h2", "Latency"), tag("p", explanation, class_="note"), charts)


def _together(curves: Sequence[tuple[Subject, LatencyCurve]]) -> Content:
    x, y = _scales(curves)
    chart = Chart(
        title="Latency by percentile",
        x=x,
        y=y,
        x_name="requests, from the fastest to the slowest",
        lines=[_line(run, curve, is_alone=len(curves) == 1) for run, curve in curves],
        whiskers=_whiskers(curves, y),
        references=_bounds(curves),
        height_px=320,
    )
    names = [(f"{run.letter}  {run.label}", run.colour, run.dash, run.letter) for run, _ in curves]
    return [legend(names) if len(curves) > 1 else None, chart.draw()]


def _one_by_one(curves: Sequence[tuple[Subject, LatencyCurve]]) -> Content:
    x, y = _scales(curves)
    lines = [_line(run, curve) for run, curve in curves]
    others = [_faint(line) for line in lines]
    charts = [
        Chart(
            title=f"Latency by percentile, {run.name}",
            caption=[run.badge, " ", run.label],
            run=run.letter,
            x=x,
            y=y,
            x_name="all other runs in grey",
            lines=[*others[:index], *others[index + 1 :], lines[index]],
            references=_bounds(curves),
            height_px=150,
        ).draw()
        for index, (run, _) in enumerate(curves)
    ]
    return tag("div", charts, class_="grid-of-charts")


def _scales(curves: Sequence[tuple[Subject, LatencyCurve]]) -> tuple[Scale, Scale]:
    lowest = min(float(curve.latencies_ms[0]) for _, curve in curves)
    highest = max(float(curve.latencies_ms[-1]) for _, curve in curves)
    return percentiles(max(curve.num_nines for _, curve in curves)), wide(lowest, highest, "ms")


def _line(run: Subject, curve: LatencyCurve, *, is_alone: bool = False) -> Line:
    return Line(
        name="latency" if is_alone else run.letter,
        x=curve.shares,
        y=curve.latencies_ms,
        colour=run.colour,
        dash=run.dash,
        run="" if is_alone else run.letter,
    )


def _whiskers(curves: Sequence[tuple[Subject, LatencyCurve]], y: Scale) -> list[Whisker]:
    """The runs' intervals side by side; none of many runs, which would hide the lines."""
    if len(curves) > MAX_WITH_INTERVALS:
        return []
    return [
        whisker
        for index, (run, curve) in enumerate(curves)
        for whisker in _intervals(run, curve, y, aside=(index - len(curves) + 1) * ASIDE)
    ]


def _intervals(run: Subject, curve: LatencyCurve, y: Scale, *, aside: float) -> list[Whisker]:
    """Of the percentiles that the summary has, as far as the line goes."""
    found = [
        (float(name[1:]) / 100, interval)
        for name, interval in run.findings.end_to_end.intervals_ms.items()
        if name != "mean" and interval
    ]
    return [
        Whisker(
            x=share,
            aside=aside,
            low=interval.low,
            high=y.high if interval.high is None else interval.high,
            colour=run.colour,
            run=run.letter,
        )
        for share, interval in found
        if share <= curve.shares[-1] + 1e-9
    ]


def _faint(line: Line) -> Line:
    return Line(name="", x=line.x[::3], y=line.y[::3], colour="var(--muted)", is_faint=True)


def _bounds(curves: Sequence[tuple[Subject, LatencyCurve]]) -> list[Reference]:
    bounds = {float(run.findings.args["slo"]) for run, _ in curves if run.findings.args.get("slo")}
    return [Reference(axis="y", value=bound, name=f"--slo {bound:g} ms") for bound in sorted(bounds)]
