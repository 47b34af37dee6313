"""Throughput against p99: which runs no other one beats in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnb.analysis.pareto import pareto_front
from rnb.show.page.charts import Chart, Line, Mark
from rnb.show.page.markup import Markup, tag
from rnb.show.page.scales import linear, wide
from rnb.show.page.subject import Subject
from rnb.show.page.wording import duration, number

PERCENTILE = "p99"


def section(runs: Sequence[Subject]) -> Markup | None:
    """None unless several runs have a p99."""
    known = [
        (run, run.findings.summary.videos_per_s, value)
        for run in runs
        if (value := run.percentile_ms(PERCENTILE)) is not None and not run.findings.is_bulk
    ]
    if len(known) < 2:
        return None
    front = [known[index] for index in pareto_front([(rate, value) for _, rate, value in known])]
    values = [value for _, _, value in known]
    steps = Line(
        name="",
        x=np.array([rate for _, rate, _ in front]),
        y=np.array([value for _, _, value in front]),
        colour="var(--muted)",
    )
    chart = Chart(
        title=f"Throughput against {PERCENTILE}",
        x=linear(max(rate for _, rate, _ in known), "/s"),
        y=wide(min(values), max(values), "ms"),
        x_name="throughput",
        lines=[steps],
        marks=[_mark(run, rate, value) for run, rate, value in known],
        labels=[(rate, value, run.letter, run.letter) for run, rate, value in known],
        height_px=280,
    )
    explanation = (
        "A dot for each run. The line is the Pareto front: no other run has more throughput at no more "
        f"{PERCENTILE} than one on it, nor less {PERCENTILE} at no less throughput."
    )
    named = ", ".join(run.letter for run, _, _ in front)
    return tag(
        "section",
        tag("h2", f"Throughput against {PERCENTILE}"),
        tag("p", f"{explanation} On it: {named}.", class_="note"),
        chart.draw(),
    )


def _mark(run: Subject, rate: float, value: float) -> Mark:
    name = f"{run.letter} {run.label}: {number(rate)}/s, {PERCENTILE} {duration(value)}"
    return Mark(x=rate, y=value, name=name, colour=run.colour, run=run.letter)
