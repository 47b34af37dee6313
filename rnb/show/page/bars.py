"""Stacked bars, one row each, as SVG that fills the width it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnb.show.page.markup import Content, Markup, per_cent, tag

HEIGHT_PX = 20


@dataclass(frozen=True, kw_only=True)
class Segment:
    title: str
    """Shown under the pointer."""
    value: float
    fill: str


@dataclass(frozen=True, kw_only=True)
class Row:
    label: Content
    segments: Sequence[Segment]
    total: str
    """Written behind the bar."""
    run: str = ""

    @property
    def length(self) -> float:
        return sum(segment.value for segment in self.segments)


def stacked_bars(title: Content, rows: Sequence[Row], *, full: float | None = None) -> Markup:
    """A bar that fills the room has the length `full`; without it each does, to show what it is made of."""
    cells = [_row(row, full or row.length or 1.0) for row in rows]
    return tag("figure", tag("figcaption", title), tag("div", cells, class_="bars"), class_="chart")


def _row(row: Row, full: float) -> Content:
    starts = [sum(segment.value for segment in row.segments[:index]) for index in range(len(row.segments))]
    bar = tag(
        "svg",
        [_rect(segment, start, full) for segment, start in zip(row.segments, starts, strict=True)],
        width="100%",
        height=HEIGHT_PX,
        role="img",
        tabindex=0,
        aria_label=", ".join(segment.title for segment in row.segments),
    )
    run = row.run or None
    return [
        tag("div", row.label, class_="bar-label", data_run=run),
        tag("div", bar, class_="bar", data_run=run),
        tag("div", row.total, class_="bar-total", data_run=run),
    ]


def _rect(segment: Segment, start: float, full: float) -> Markup | None:
    if segment.value <= 0:
        return None
    return tag(
        "rect",
        tag("title", segment.title),
        x=per_cent(start / full),
        width=per_cent(segment.value / full),
        height=HEIGHT_PX,
        fill=segment.fill,
    )
