"""Where a request's time goes: each step's wait, gathering, wait for a slot, service and hand-off."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.latency_curve import LatencyBand, LatencyCurve
from rnb.contract.events import Stage
from rnb.show.page.bars import Row, Segment, stacked_bars
from rnb.show.page.fills import stage_fill, swatch
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, table
from rnb.show.page.wording import duration, milliseconds, number, share

TWO = "grid-of-charts two"


def section(runs: Sequence[Subject]) -> Markup | None:
    curves = [(run, run.findings.latency) for run in runs if run.findings.latency]
    if not curves:
        return None
    explanation = (
        "The mean of each stage of a request. The colour says which step, the pattern what is done: the "
        "step's service is full, the wait for it light, gathering a batch hatched, the wait for a free slot "
        "dotted, handing on to the next step striped."
    )
    only, curve = curves[0]
    shown = _of_one(curve, only.findings.step_names) if len(curves) == 1 else _of_several(curves)
    return tag("section", tag("h2", "Where the time goes"), tag("p", explanation, class_="note"), shown)


def _of_one(curve: LatencyCurve, step_names: Sequence[str]) -> Content:
    bands = [curve.whole, *curve.bands]
    rows = [_row(_band_name(band), band, step_names) for band in bands]
    header = ["ms", *map(_band_name, bands)]
    cells = [
        [_name(stage, step_names), *(milliseconds(band.stages_ms[stage]) for band in bands)]
        for stage in curve.whole.stages_ms
    ]
    total = ["end to end", *(milliseconds(band.latency_ms) for band in bands)]
    requests = ["requests", *(number(band.num_requests) for band in bands)]
    title = "Share of each stage, of all requests and from fast to slow ones"
    return tag("div", stacked_bars(title, rows), table(header, [*cells, total, requests]), class_=TWO)


def _of_several(curves: Sequence[tuple[Subject, LatencyCurve]]) -> Content:
    step_names = _common_step_names(curves)
    stages = list(dict.fromkeys(stage for _, curve in curves for stage in curve.whole.stages_ms))
    longest = max(curve.whole.latency_ms for _, curve in curves)
    rows = [_row(run.badge, curve.whole, step_names, run.letter) for run, curve in curves]
    header = ["ms", *(run.badge for run, _ in curves)]
    cells = [
        [
            _name(stage, step_names),
            *(milliseconds(curve.whole.stages_ms.get(stage)) for _, curve in curves),
        ]
        for stage in stages
    ]
    total = ["end to end", *(milliseconds(curve.whole.latency_ms) for _, curve in curves)]
    each = [[tag("h3", run.badge, f" {run.label}"), _of_one(curve, step_names)] for run, curve in curves]
    bars = [
        stacked_bars("Mean time of a request", rows, full=longest),
        stacked_bars("Share of each stage", rows),
    ]
    return [
        tag("div", bars, class_=TWO),
        table(header, [*cells, total]),
        details("Each run, from fast to slow requests", each),
    ]


def _common_step_names(curves: Sequence[tuple[Subject, LatencyCurve]]) -> Sequence[str]:
    """None where the runs call the steps differently: then they go by their number alone."""
    all_names = {tuple(run.findings.step_names) for run, _ in curves}
    return all_names.pop() if len(all_names) == 1 else ()


def _name(stage: Stage, step_names: Sequence[str]) -> Content:
    return [swatch(stage_fill(stage)), stage.title(step_names)]


def _row(label: Content, band: LatencyBand, step_names: Sequence[str], run: str = "") -> Row:
    latency_ms = band.latency_ms
    segments = [
        Segment(
            title=f"{stage.title(step_names)}: {duration(value)}, {share(value / (latency_ms or 1.0))}",
            value=max(0.0, value),
            fill=stage_fill(stage),
        )
        for stage, value in band.stages_ms.items()
    ]
    return Row(label=label, segments=segments, total=duration(latency_ms), run=run)


def _band_name(band: LatencyBand) -> str:
    if (band.low, band.high) == (0.0, 1.0):
        return "all"
    return f"p{100 * band.low:g} to p{100 * band.high:g}"
