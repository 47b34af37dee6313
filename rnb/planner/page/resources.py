"""What each resource did: the workers of each step, GPUs, cores, and what the harness itself carries."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.contract.events import Stage, StageKind
from rnb.planner.resources import Use
from rnb.show.page.bars import Row, Segment, stacked_bars
from rnb.show.page.fills import stage_fill
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.wording import share


def section(uses: Sequence[tuple[str, Sequence[Use]]]) -> Markup | None:
    """Of several runs, each with what it is called; None where nothing is known."""
    charts = [stacked_bars(name, [_row(use) for use in of_run], full=1.0) for name, of_run in uses if of_run]
    if not charts:
        return None
    explanation = (
        "Shares of the measured phase, the mean over the workers of a step: in calls, waiting for a free slot"
        " (dotted), gathering and handing on; written behind: busy. 'Read' is what telemetry read."
    )
    grid: Content = tag("div", charts, class_="grid-of-charts two") if len(charts) > 1 else charts
    return tag("section", tag("h2", "Resources"), tag("p", explanation, class_="note"), grid, id="resources")


def _row(use: Use) -> Row:
    states = [
        ("busy", use.busy, stage_fill(Stage(StageKind.CALL, use.step))),
        ("waiting for a free slot", use.waiting_for_slot, stage_fill(Stage(StageKind.SLOT, use.step))),
        ("gathering, handing on", use.other, stage_fill(Stage(StageKind.GATHER, use.step))),
    ]
    segments = [
        Segment(title=f"{name}: {share(value)}", value=value, fill=fill) for name, value, fill in states
    ]
    return Row(label=use.name, segments=segments, total=share(use.busy))
