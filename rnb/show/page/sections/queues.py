"""How many requests waited before each step, over time."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.show.page.charts import Chart, Line, Reference, legend
from rnb.show.page.markup import Markup, tag
from rnb.show.page.palette import step_colour
from rnb.show.page.scales import exactly, linear
from rnb.show.page.subject import NUM_SPANS, Subject
from rnb.show.page.tables import details, table
from rnb.show.page.wording import number

COMPARABLE = 10.0
"""Charts share their scale unless the highest is so many times the lowest."""


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [run for run in runs if run.findings.depth_curves]
    if not shown:
        return None
    tops = [_top(run) for run in shown]
    is_shared = max(tops) <= COMPARABLE * max(1.0, min(tops))
    charts = [
        _chart(run, max(tops) if is_shared else top, len(shown)) for run, top in zip(shown, tops, strict=True)
    ]
    explanation = (
        f"Requests before a step that no worker has taken, as the mean of each {NUM_SPANS}th of the time."
    )
    if len(shown) > 1 and not is_shared:
        explanation += " Each chart has its own scale."
    return tag(
        "section",
        tag("h2", "Queues"),
        tag("p", explanation, class_="note"),
        legend(_steps(shown)),
        tag("div", charts, class_="grid-of-charts") if len(charts) > 1 else charts,
        _table(shown) if len(shown) == 1 else details("Mean and highest", _table(shown)),
    )


def _top(run: Subject) -> float:
    return max((float(depth.max()) for _, depth in run.findings.depth_curves.values()), default=0.0)


def _chart(run: Subject, top: float, num_charts: int) -> Markup:
    lines = [
        Line(name=f"step {step}", x=seconds, y=depth, colour=step_colour(step))
        for step, (seconds, depth) in run.findings.depth_curves.items()
    ]
    return Chart(
        title=f"Queue depth over time, {run.name}",
        caption=[run.badge, " ", run.label] if num_charts > 1 else "Queue depth over time",
        run=run.letter if num_charts > 1 else "",
        x=exactly(0.0, run.findings.seconds, "s"),
        y=linear(max(1.0, top), ""),
        x_name="" if num_charts > 1 else "since the start of the measured phase",
        is_thin=True,
        lines=lines,
        references=_steady(run),
        height_px=150 if num_charts > 2 else 220,
        linked=f"time-{run.letter}",
    ).draw()


def _steady(run: Subject) -> list[Reference]:
    """Where the steady state begins, if the run was not steady from its start."""
    steady = run.findings.summary.steady_state
    return (
        [Reference(axis="x", value=steady.start_s, name="steady from here")]
        if steady.is_cut and steady.start_s
        else []
    )


def _steps(runs: Sequence[Subject]) -> list[tuple[str, str, str, str]]:
    named = {step: _step_name(run, step) for run in runs for step in run.findings.depth_curves}
    return [(f"before step {step}{named[step]}", step_colour(step), "", "") for step in sorted(named)]


def _step_name(run: Subject, step: int) -> str:
    names = run.findings.step_names
    return f" {names[step]}" if step < len(names) else ""


def _table(runs: Sequence[Subject]) -> Markup:
    is_alone = len(runs) == 1
    rows = [
        [
            *([] if is_alone else [run.badge]),
            f"{depth.step}{_step_name(run, depth.step)}",
            f"{depth.mean:,.2f}",
            number(depth.max),
        ]
        for run in runs
        for depth in run.findings.summary.queue_depths
    ]
    names = ["before step", "mean", "highest"]
    return table(names if is_alone else ["", *names], rows, num_text_columns=1 if is_alone else 2)
