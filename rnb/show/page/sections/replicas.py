"""What each replica did with its time."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.utilization import Utilization, mean_shares
from rnb.contract.events import Stage, StageKind
from rnb.show.page.bars import Row, Segment, stacked_bars
from rnb.show.page.fills import stage_fill, swatch
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, table
from rnb.show.page.wording import share

IDLE = "var(--panel)"
MAX_OPEN = 4
"""Runs whose replicas are shown at once."""


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [run for run in runs if run.findings.summary.utilizations]
    if not shown:
        return None
    charts: list[Content] = [_chart(run, is_alone=len(shown) == 1) for run in shown]
    grid = tag("div", charts, class_="grid-of-charts two") if len(shown) > 1 else charts
    explanation = (
        "Shares of the measured phase, the mean over the workers of a replica; written behind: busy."
    )
    return tag(
        "section",
        tag("h2", "Replicas"),
        tag("p", explanation, class_="note"),
        _by_step(shown) if len(shown) > MAX_OPEN else None,
        _legend(),
        grid if len(shown) <= MAX_OPEN else details(f"The replicas of {len(shown)} runs", grid),
    )


def _by_step(runs: Sequence[Subject]) -> Markup:
    """How busy each step's replicas were on average, a row for each run."""
    busy = [_busy_by_step(run) for run in runs]
    steps = sorted({step for shares in busy for step in shares})
    rows = [
        [run.badge, run.label, *(share(shares.get(step)) for step in steps)]
        for run, shares in zip(runs, busy, strict=True)
    ]
    return table(["", "busy", *(f"step {step}" for step in steps)], rows, num_text_columns=2)


def _busy_by_step(run: Subject) -> dict[int, float]:
    by_step: dict[int, list[Utilization]] = {}
    for entry in run.findings.summary.utilizations:
        by_step.setdefault(entry.step, []).append(entry)
    return {step: mean_shares(entries)["busy"] for step, entries in by_step.items()}


def _states(entry: Utilization) -> list[tuple[str, float, str]]:
    step = entry.step
    return [
        ("busy", entry.busy, stage_fill(Stage(StageKind.CALL, step))),
        ("gathering, copying, handing on", entry.other, stage_fill(Stage(StageKind.GATHER, step))),
        ("waiting for a free slot", entry.waiting_for_slot, stage_fill(Stage(StageKind.SLOT, step))),
        ("waiting for input", entry.waiting_for_input, IDLE),
    ]


def _legend() -> Markup:
    example = Utilization(
        step=0, replica=0, worker=None, busy=0.0, waiting_for_input=0.0, waiting_for_slot=0.0, other=0.0
    )
    entries = [tag("span", swatch(fill), name, class_="entry") for name, _, fill in _states(example)]
    return tag("div", entries, class_="legend")


def _chart(run: Subject, *, is_alone: bool) -> Markup:
    rows = [_row(run, entry) for entry in run.findings.summary.utilizations]
    if is_alone:
        return stacked_bars("Use of each replica", rows, full=1.0)
    return stacked_bars([run.badge, " ", run.label], rows, full=1.0)


def _row(run: Subject, entry: Utilization) -> Row:
    segments = [
        Segment(title=f"{name}: {share(value)}", value=max(0.0, value), fill=fill)
        for name, value, fill in _states(entry)
    ]
    return Row(label=_label(run, entry), segments=segments, total=share(round(entry.busy, 3)))


def _label(run: Subject, entry: Utilization) -> str:
    names = run.findings.step_names
    name = f" {names[entry.step]}" if entry.step < len(names) else ""
    return f"step {entry.step}.{entry.replica}{name}{_place(run, entry)}"


def _place(run: Subject, entry: Utilization) -> str:
    replicas = run.findings.meta.replicas if run.findings.meta else []
    own = [one for one in replicas if (one["step"], one["replica"]) == (entry.step, entry.replica)]
    if not own or not own[0].get("device"):
        return ""
    node = "" if entry.node is None else f"node {entry.node}, "
    return f" on {node}{own[0]['device']}"
