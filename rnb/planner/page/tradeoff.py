"""Throughput against p99 of all that was worked out; those that were played with a line from what was
predicted to what was measured."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence

import numpy as np

from rnb.analysis.pareto import pareto_front
from rnb.planner.finding import SearchFinding
from rnb.planner.goal import Goal, Prediction
from rnb.planner.page.goal_words import under
from rnb.planner.plan_text import shown
from rnb.planner.screening import NUM_REQUESTS
from rnb.planner.verification import Verified
from rnb.show.page.charts import Chart, Line, Mark
from rnb.show.page.markup import Markup, tag
from rnb.show.page.palette import run_colour
from rnb.show.page.scales import linear, wide
from rnb.show.page.wording import duration, number

MOST_DOTS = 5_000
PREDICTED, MEASURED = "ring", "dot"
"""Shapes."""


def section(found: SearchFinding) -> Markup | None:
    """None where nothing has a p99."""
    played = [(one, _measured(one, found.goal)) for one in found.chosen]
    worked_out = [one for one in found.worked_out.values() if _is_known(one)]
    all_points = [*worked_out, *(one for _, one in played if one and _is_known(one))]
    if not worked_out:
        return None
    lines = [_dots(worked_out), _front(worked_out)]
    marks, labels = [], []
    for index, (one, measured) in enumerate(played):
        if not _is_known(one.predicted):
            continue
        letter, colour = string.ascii_uppercase[index], run_colour(index)
        marks.append(_mark(f"{letter} predicted", one.predicted, colour, PREDICTED))
        labels.append((one.predicted.per_s, one.predicted.p99_ms, letter, ""))
        if measured and _is_known(measured):
            marks.append(_mark(f"{letter} measured: {shown(found.space, one)}", measured, colour, MEASURED))
            lines.append(_joint(one.predicted, measured, colour))
    chart = Chart(
        title="Throughput against p99",
        x=linear(max(one.per_s for one in all_points), "/s"),
        y=wide(min(one.p99_ms for one in all_points), max(one.p99_ms for one in all_points), "ms"),
        x_name=f"throughput, {under(found.goal)}",
        lines=lines,
        marks=marks,
        labels=labels,
        height_px=360,
        max_points=MOST_DOTS,
    )
    explanation = (
        f"A small dot for each of {number(len(worked_out))} candidates that were worked out,"
        f" {under(found.goal)}; the line is their Pareto front: none has more throughput at no more p99. A"
        " ring is what was predicted of one that was played, joined to a dot, which is what was measured."
    )
    if found.goal.name == "throughput":
        explanation += (
            f" The p99 is that of {number(NUM_REQUESTS)} requests at once, since it grows with them."
        )
    return tag(
        "section",
        tag("h2", "Throughput against p99"),
        tag("p", explanation, class_="note"),
        chart.draw(),
        id="tradeoff",
    )


def _measured(one: Verified, goal: Goal) -> Prediction | None:
    """Where all requests come at once, the p99 grows with their number; so it is that of as many as were
    simulated."""
    if one.measured is None or goal.name != "throughput":
        return one.measured
    num_played = float(np.mean([run.num_requests for run in one.runs]))
    return one.measured._replace(p99_ms=one.measured.p99_ms * NUM_REQUESTS / num_played)


def _is_known(one: Prediction) -> bool:
    return one.per_s > 0 and math.isfinite(one.p99_ms)


def _dots(points: Sequence[Prediction]) -> Line:
    ordered = sorted(points, key=lambda one: one.per_s)
    return Line(
        name="worked out",
        x=np.array([one.per_s for one in ordered]),
        y=np.array([one.p99_ms for one in ordered]),
        colour="var(--muted)",
        has_dots=True,
        is_joined=False,
    )


def _front(points: Sequence[Prediction]) -> Line:
    front = [points[index] for index in pareto_front([(one.per_s, one.p99_ms) for one in points])]
    return Line(
        name="Pareto front",
        x=np.array([one.per_s for one in front]),
        y=np.array([one.p99_ms for one in front]),
        colour="var(--muted)",
    )


def _joint(predicted: Prediction, measured: Prediction, colour: str) -> Line:
    return Line(
        name="",
        x=np.array([predicted.per_s, measured.per_s]),
        y=np.array([predicted.p99_ms, measured.p99_ms]),
        colour=colour,
        dash="6 3",
    )


def _mark(name: str, one: Prediction, colour: str, shape: str) -> Mark:
    told = f"{name}: {number(one.per_s)}/s, p99 {duration(one.p99_ms)}"
    return Mark(x=one.per_s, y=one.p99_ms, name=told, colour=colour, shape=shape)
