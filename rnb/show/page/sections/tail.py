"""Who made the tail: the slowest requests against the median one, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.tail import StageInTail, Tail
from rnb.show.page.bars import Row, Segment, stacked_bars
from rnb.show.page.fills import stage_fill, swatch
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, table
from rnb.show.page.wording import duration, milliseconds, number, share
from rnb.show.text.tail_text import where_slowest


def section(runs: Sequence[Subject]) -> Markup | None:
    tails = [(run, run.findings.tail) for run in runs if run.findings.tail]
    if not tails:
        return None
    explanation = (
        "What the slowest 1 % of the requests spent more than the median request, and in which stage. The "
        "bar leaves out stages in which the slow requests were faster."
    )
    is_alone = len(tails) == 1
    rows = [_row(run, tail, is_alone=is_alone) for run, tail in tails]
    bars = stacked_bars("Share of the difference, the slowest 1 % against the median", rows)
    tables = [[tag("h3", run.badge, f" {run.label}"), _of_one(run, tail)] for run, tail in tails]
    return tag(
        "section",
        tag("h2", "Who made the tail"),
        tag("p", explanation, class_="note"),
        tag("div", bars, _of_one(*tails[0]), class_="grid-of-charts two")
        if is_alone
        else [bars, details("Each run", tables)],
    )


def _row(run: Subject, tail: Tail, *, is_alone: bool) -> Row:
    segments = [
        Segment(
            title=f"{_title(run, stage)}: {share(stage.share)}, {duration(stage.difference_ms)} more",
            value=max(0.0, stage.share),
            fill=stage_fill(stage.stage),
        )
        for stage in tail.stages
    ]
    label = "" if is_alone else run.badge
    total = f"{duration(tail.median_ms)} → {duration(tail.slowest_ms)}"
    return Row(label=label, segments=segments, total=total, run="" if is_alone else run.letter)


def _title(run: Subject, stage: StageInTail) -> str:
    return stage.stage.title(run.findings.step_names)


def _of_one(run: Subject, tail: Tail) -> Content:
    groups = (f"{number(tail.num_median)} around the median", f"{number(tail.num_slowest)} slowest")
    header = ["ms", *groups, "difference", "share of it"]
    rows = [
        [
            [swatch(stage_fill(stage.stage)), _title(run, stage)],
            milliseconds(stage.median_ms),
            milliseconds(stage.slowest_ms),
            milliseconds(stage.difference_ms),
            share(stage.share),
        ]
        for stage in tail.stages
    ]
    more_ms = tail.slowest_ms - tail.median_ms
    total = ["end to end", *map(milliseconds, (tail.median_ms, tail.slowest_ms, more_ms)), share(1.0)]
    notes = [tag("p", line, class_="note") for line in where_slowest(tail)]
    return [table(header, [*rows, total]), *notes]
