"""Throughput, and p99 at a load, over GPUs or whatever else is supposed to vary."""

from __future__ import annotations

import numpy as np

from rnb.planner.curve import Curve
from rnb.planner.curve_text import column_names, described, figures, how, needed_lines, setting
from rnb.planner.system import LOAD
from rnb.show.page.charts import Chart, Line, legend
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.palette import run_colour
from rnb.show.page.scales import Scale, logarithmic, wide
from rnb.show.page.tables import table

HEIGHT_PX = 280


def section(curve: Curve) -> Markup:
    varied = curve.what_if.varied
    header = [varied or "", *column_names(curve)]
    rows = [[setting(curve, point), *figures(curve, point)] for point in curve.points]
    return tag(
        "section",
        tag("h2", f"As if {described(curve)}"),
        tag("p", f"Nothing of this was played: {how(curve)}.", class_="note"),
        _charts(curve, varied) if varied else None,
        table(header, rows),
        tag("ul", [tag("li", line) for line in needed_lines(curve)]) if curve.needed else None,
        id="what-if",
    )


def _charts(curve: Curve, varied: str) -> Content:
    x = np.array([point.settings[varied] for point in curve.points])
    per_s = np.array([point.predicted.per_s for point in curve.points])
    lowest = np.array([point.held_up_by.per_s for point in curve.points])
    following = np.array([point.then_by.per_s if point.then_by else np.nan for point in curve.points])
    p99_ms = np.array([point.predicted.p99_ms for point in curve.points])
    scale = logarithmic(x[0], x[-1], "")
    top = float(np.nanmax(np.concatenate([per_s, lowest, following])))
    lines = [
        Line(name="requests/s", x=x, y=per_s, colour=run_colour(0), has_dots=True),
        Line(name="the lowest ceiling", x=x, y=lowest, colour=run_colour(1), dash="6 3"),
        Line(name="the next one", x=x, y=following, colour=run_colour(2), dash="2 3"),
    ]
    tail = [Line(name="p99", x=x, y=p99_ms, colour=run_colour(0), has_dots=True)]
    charts = [
        _chart("Throughput", scale, wide(float(per_s.min()), top, "/s"), varied, lines),
        _chart(
            f"p99 at {LOAD:.0%}", scale, wide(float(p99_ms.min()), float(p99_ms.max()), "ms"), varied, tail
        ),
    ]
    entries = [(line.name, line.colour, line.dash, "") for line in lines]
    return [legend(entries), tag("div", charts, class_="grid-of-charts two")]


def _chart(title: str, x: Scale, y: Scale, x_name: str, lines: list[Line]) -> Markup:
    return Chart(title=title, x=x, y=y, x_name=x_name, lines=lines, height_px=HEIGHT_PX).draw()
