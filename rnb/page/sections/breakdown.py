"""Where a request's time goes: each step's wait, gathering, wait for a slot, service and hand-off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rnb.analysis.latency_curve import LatencyBand, LatencyCurve
from rnb.page.bars import Row, Segment, stacked_bars
from rnb.page.fills import stage_fill, swatch
from rnb.page.markup import Content, Markup, tag
from rnb.page.subject import Subject
from rnb.page.tables import details, table
from rnb.page.wording import duration, milliseconds, number, share

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
    shown = _of_one(curves[0][1]) if len(curves) == 1 else _of_several(curves)
    return tag("section", tag("h2", "Where the time goes"), tag("p", explanation, class_="note"), shown)


def _of_one(curve: LatencyCurve) -> Content:
    bands = [curve.whole, *curve.bands]
    rows = [_row(_band_name(band), band) for band in bands]
    header = ["ms", *map(_band_name, bands)]
    cells = [
        [[swatch(stage_fill(stage)), stage], *(milliseconds(band.stages_ms[stage]) for band in bands)]
        for stage in curve.whole.stages_ms
    ]
    total = ["end to end", *(milliseconds(band.latency_ms) for band in bands)]
    requests = ["requests", *(number(band.num_requests) for band in bands)]
    title = "Share of each stage, of all requests and from fast to slow ones"
    return tag("div", stacked_bars(title, rows), table(header, [*cells, total, requests]), class_=TWO)


def _of_several(curves: Sequence[tuple[Subject, LatencyCurve]]) -> Content:
    curves = _with_common_stages(curves)
    stages = list(dict.fromkeys(stage for _, curve in curves for stage in curve.whole.stages_ms))
    longest = max(curve.whole.latency_ms for _, curve in curves)
    rows = [_row(run.badge, curve.whole, run.letter) for run, curve in curves]
    header = ["ms", *(run.badge for run, _ in curves)]
    cells = [
        [
            [swatch(stage_fill(stage)), stage],
            *(milliseconds(curve.whole.stages_ms.get(stage)) for _, curve in curves),
        ]
        for stage in stages
    ]
    total = ["end to end", *(milliseconds(curve.whole.latency_ms) for _, curve in curves)]
    each = [[tag("h3", run.badge, f" {run.label}"), _of_one(curve)] for run, curve in curves]
    bars = [
        stacked_bars("Mean time of a request", rows, full=longest),
        stacked_bars("Share of each stage", rows),
    ]
    return [
        tag("div", bars, class_=TWO),
        table(header, [*cells, total]),
        details("Each run, from fast to slow requests", each),
    ]


def _with_common_stages(curves: Sequence[tuple[Subject, LatencyCurve]]) -> list[tuple[Subject, LatencyCurve]]:
    """Steps by their number alone where the runs call them differently."""
    if len({tuple(run.findings.step_names) for run, _ in curves}) == 1:
        return list(curves)
    return [
        (run, replace(curve, whole=_unnamed(curve.whole), bands=tuple(map(_unnamed, curve.bands))))
        for run, curve in curves
    ]


def _unnamed(band: LatencyBand) -> LatencyBand:
    stages_ms = {re.sub(r"(step \d+) .+", r"\1", stage): value for stage, value in band.stages_ms.items()}
    return replace(band, stages_ms=stages_ms)


def _row(label: Content, band: LatencyBand, run: str = "") -> Row:
    latency_ms = band.latency_ms
    segments = [
        Segment(
            title=f"{stage}: {duration(value)}, {share(value / latency_ms if latency_ms else 0.0)}",
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
