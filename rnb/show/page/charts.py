"""Lines over two axes as SVG that fills the width it is given.

Text and ticks stand at per cent of the plot and keep their size; lines are drawn in a square of GRID units,
and the plot stretches that without making their strokes thicker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.show.page.downsampling import MAX_POINTS, thin_out
from rnb.show.page.markup import Content, Markup, join, per_cent, tag
from rnb.show.page.scales import Scale

GRID = 10_000


@dataclass(frozen=True, kw_only=True)
class Line:
    name: str
    x: NDArray[Any]
    y: NDArray[Any]
    """NaN leaves a gap."""
    colour: str
    dash: str = ""
    run: str = ""
    """The run's letter: it is written at the line's end, and the reader can switch the run off."""
    is_step: bool = False
    """Each value holds until the next one."""
    is_faint: bool = False
    has_dots: bool = False
    is_joined: bool = True


@dataclass(frozen=True, kw_only=True)
class Whisker:
    """An interval of y at one x."""

    x: float
    aside: float
    """How far to the right of it (below 0: left), as a share of the width, so that none hides another."""
    low: float
    high: float
    colour: str
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """From the lower end of the chart up to y."""

    low: float
    high: float
    """Of x."""
    y: float
    name: str
    """What it says, in words."""
    colour: str
    run: str = ""


SHAPES = {
    "dot": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0",
    "cross": "M-4.5-4.5L4.5 4.5M-4.5 4.5L4.5-4.5",
    "ring": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
}
"""Of marks, in px around their place."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A single value, which the keyboard reaches too."""

    x: float
    y: float
    name: str
    """What it says, in words."""
    colour: str
    shape: str = "dot"
    """Of SHAPES."""
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A value of one axis that the lines are read against, or a stretch of x."""

    axis: str
    """x or y."""
    value: float
    name: str
    until: float | None = None
    """The end of a stretch."""
    row: int = 0
    """How many names stand above its own, so that none hides another."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    title: str
    x: Scale
    y: Scale
    x_name: str
    lines: Sequence[Line]
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()
    whiskers: Sequence[Whisker] = ()
    references: Sequence[Reference] = ()
    labels: Sequence[tuple[float, float, str, str]] = field(default=())
    """Texts beside points: x, y, text, the run's letter."""
    height_px: int = 220
    max_points: int = MAX_POINTS
    """Of each line."""
    is_thin: bool = False
    """Thin lines, for those that go up and down all the time."""
    caption: Content = None
    """In the place of the title, which only names the picture then."""
    run: str = ""
    """The letter of the run that all of the chart is about."""
    linked: str = ""
    """Charts of the same text show the same stretch of x when the reader chooses one."""

    def draw(self) -> Markup:
        named = any(line.run for line in self.lines)
        shapes = [
            *map(self._bar, self.bars),
            *map(self._whisker, self.whiskers),
            *map(self._line, self.lines),
        ]
        canvas = tag(
            "svg",
            shapes,
            class_="marks",
            viewBox=f"0 0 {GRID} {GRID}",
            preserveAspectRatio="none",
            width="100%",
            height="100%",
        )
        drawing = tag(
            "svg",
            self._axes(),
            canvas,
            [self._reference(reference) for reference in self.references if self._is_seen(reference)],
            map(self._mark, self.marks),
            [self._label(*label) for label in self.labels],
            [self._end_name(*end) for end in self._ends()] if named else None,
            role="group",
            aria_label=f"{self.title}: {', '.join(line.name for line in self.lines if line.name)}",
        )
        plot = tag(
            "div",
            drawing,
            class_="plot",
            style=f"height:{self.height_px}px",
            data_linked=self.linked or None,
            **_scales(self.x, self.y),
        )
        title = tag("figcaption", self.title if self.caption is None else self.caption)
        axis_name = tag("div", self.x_name, class_="axis-name") if self.x_name else None
        kind = "chart thin" if self.is_thin else "chart"
        return tag("figure", title, plot, axis_name, class_=kind, data_run=self.run or None)

    def _axes(self) -> Content:
        horizontal = [
            (per_cent(1 - place), self.y.label(tick))
            for tick, place in zip(self.y.ticks, self.y.positions(self.y.ticks), strict=True)
        ]
        vertical = [
            (per_cent(place), self.x.label(tick))
            for tick, place in zip(self.x.ticks, self.x.positions(self.x.ticks), strict=True)
        ]
        return [
            tag(
                "g",
                [tag("line", x1=0, x2="100%", y1=place, y2=place) for place, _ in horizontal],
                [
                    tag("line", x1=place, x2=place, y1="100%", y2="100%", class_="tick")
                    for place, _ in vertical
                ],
                class_="grid",
            ),
            tag(
                "g", [tag("text", text, x=-6, y=place, dy="0.35em") for place, text in horizontal], class_="y"
            ),
            tag(
                "g",
                [tag("text", text, x=place, y="100%", dy="1.4em") for place, text in vertical],
                class_="x",
            ),
        ]

    def _line(self, line: Line) -> Markup:
        x, y = thin_out(np.asarray(line.x, np.float64), np.asarray(line.y, np.float64), self.max_points)
        points = _grid_points(self.x, self.y, x, y)
        shape = {"class_": "line faint" if line.is_faint else "line", "stroke": line.colour}
        spoken = self._spoken(line)
        path = (
            tag("path", d=_path(points, is_step=line.is_step), stroke_dasharray=line.dash or None, **shape)
            if line.is_joined
            else None
        )
        dots = tag("path", d=_dots(points), class_="dots", stroke=line.colour) if line.has_dots else None
        return tag(
            "g",
            path,
            dots,
            data_name=line.name,
            data_run=line.run or None,
            data_step=line.is_step,
            tabindex=0 if spoken else None,
            role="img" if spoken else None,
            aria_label=spoken or None,
        )

    def _spoken(self, line: Line) -> str:
        """The line in words, for who cannot see it; empty of one that has no name."""
        known = np.flatnonzero(np.isfinite(line.y))
        if not line.name or not len(known):
            return ""
        highest = known[np.argmax(line.y[known])]
        lowest = known[np.argmin(line.y[known])]
        told = {"from": known[0], "to": known[-1], "lowest": lowest, "highest": highest}
        places = (f"{word} {self._place(line.x[at], line.y[at])}" for word, at in told.items())
        return f"{line.name}: {', '.join(places)}"

    def _place(self, x: float, y: float) -> str:
        return f"{self.y.label(float(y))} at {self.x.label(float(x))}"

    def _bar(self, bar: Bar) -> Markup:
        left, right = (round(GRID * self.x.position(end)) for end in (bar.low, bar.high))
        top = round(GRID * (1 - self.y.position(bar.y)))
        return tag(
            "path",
            tag("title", bar.name),
            d=f"M{left} {GRID}V{top}H{right}V{GRID}z",
            fill=bar.colour,
            class_="column",
            data_run=bar.run or None,
            **_focusable(bar.name),
        )

    def _mark(self, mark: Mark) -> Markup:
        path = tag(
            "path",
            d=SHAPES[mark.shape],
            stroke=mark.colour,
            fill=mark.colour if mark.shape == "dot" else "none",
        )
        return tag(
            "svg",
            tag("title", mark.name),
            path,
            x=per_cent(self.x.position(mark.x)),
            y=per_cent(1 - self.y.position(mark.y)),
            class_=f"mark {mark.shape}",
            data_at="xy",
            data_run=mark.run or None,
            **_focusable(mark.name),
        )

    def _whisker(self, whisker: Whisker) -> Markup:
        x = round(GRID * (self.x.position(whisker.x) + whisker.aside))
        low, high = (round(GRID * (1 - self.y.position(value))) for value in (whisker.low, whisker.high))
        return tag(
            "path",
            d=f"M{x} {low}V{high}",
            class_="whisker",
            stroke=whisker.colour,
            data_run=whisker.run or None,
        )

    def _is_seen(self, reference: Reference) -> bool:
        scale = self.x if reference.axis == "x" else self.y
        return scale.low <= reference.value <= scale.high

    def _reference(self, reference: Reference) -> Markup:
        if reference.axis == "y":
            place = per_cent(1 - self.y.position(reference.value))
            line = tag("line", x1=0, x2="100%", y1=place, y2=place)
            name = tag("text", reference.name, x="100%", y=place, dy=-4, style="text-anchor:end")
            return tag("g", line, name, class_="reference", data_at="y")
        position = self.x.position(reference.value)
        place, is_left = per_cent(position), position > 0.5
        line = tag("line", x1=place, x2=place, y1=0, y2="100%")
        anchor, aside_px = ("text-anchor:end", -4) if is_left else ("text-anchor:start", 4)
        down = f"{1 + 1.2 * reference.row:g}em"
        name = tag("text", reference.name, x=place, y=0, dx=aside_px, dy=down, style=anchor)
        if reference.until is None:
            return tag("g", line, name, class_="reference", data_at="x")
        width = per_cent(self.x.position(reference.until) - position)
        stretch = tag("rect", x=place, y=0, width=width, height="100%", class_="stretch")
        return tag("g", stretch, line, name, class_="reference", data_at="x")

    def _label(self, x: float, y: float, text: str, run: str) -> Markup:
        place = {"x": per_cent(self.x.position(x)), "y": per_cent(1 - self.y.position(y))}
        return tag("text", text, **place, dx=8, dy=-4, class_="label", data_at="xy", data_run=run or None)

    def _ends(self) -> list[tuple[Line, float]]:
        """Where the runs' letters stand beside the ends of their lines, in px from the top."""
        ends = [
            (line, self.height_px * (1 - self.y.position(float(line.y[-1]))))
            for line in self.lines
            if line.run and line.is_joined and not (line.is_faint or line.is_step) and len(line.y)
        ]
        return _spread(sorted(ends, key=lambda end: end[1]), least_px=13.0, height_px=float(self.height_px))

    def _end_name(self, line: Line, y_px: float) -> Markup:
        return tag(
            "text",
            line.run,
            x=per_cent(self.x.position(float(line.x[-1]))),
            dx=5,
            y=f"{y_px:.1f}",
            dy="0.35em",
            style=f"fill:{line.colour}",
            class_="end",
            data_run=line.run,
        )


def _scales(x: Scale, y: Scale) -> dict[str, Any]:
    """What the page's script needs to find the values under the pointer."""
    return {"data_x": _scale(x), "data_y": _scale(y)}


def _scale(scale: Scale) -> str:
    return f"{'named' if scale.names else scale.kind} {scale.low:.9g} {scale.high:.9g} {scale.unit}"


def _focusable(name: str) -> dict[str, Any]:
    return {"tabindex": 0, "role": "img", "aria_label": name}


def _grid_points(
    x_scale: Scale, y_scale: Scale, x: NDArray[np.float64], y: NDArray[np.float64]
) -> list[NDArray[np.int64]]:
    """Pieces (n, 2) in grid units, broken where y is NaN."""
    places = np.stack([x_scale.positions(x), 1.0 - y_scale.positions(y)], axis=1)
    is_there = np.isfinite(places).all(axis=1)
    breaks = np.flatnonzero(np.diff(is_there.astype(np.int8))) + 1
    pieces = np.split(places, breaks)
    return [
        np.round(GRID * piece).astype(np.int64) for piece in pieces if len(piece) and np.isfinite(piece).all()
    ]


def _path(pieces: Sequence[NDArray[np.int64]], *, is_step: bool) -> str:
    return "".join(_steps(piece) if is_step else _polyline(piece) for piece in pieces)


def _polyline(points: NDArray[np.int64]) -> str:
    """Relative moves: the shortest way to write a line."""
    moves = " ".join(f"{x} {y}" for x, y in np.diff(points, axis=0).tolist())
    return f"M{points[0, 0]} {points[0, 1]}" + (f"l{moves}" if moves else "h0")


def _steps(points: NDArray[np.int64]) -> str:
    moves = "".join(f"h{x}v{y}" if y else f"h{x}" for x, y in np.diff(points, axis=0).tolist())
    return f"M{points[0, 0]} {points[0, 1]}{moves or 'h0'}"


def _dots(pieces: Sequence[NDArray[np.int64]]) -> str:
    """Lines of no length: their round ends are dots that are not stretched with the plot."""
    return "".join(f"M{x} {y}h0" for piece in pieces for x, y in piece.tolist())


def _spread(ends: list[tuple[Line, float]], *, least_px: float, height_px: float) -> list[tuple[Line, float]]:
    """Push down what would overlap, then up what fell off the lower end."""
    places: list[float] = []
    for _, place in ends:
        places.append(max(place, places[-1] + least_px) if places else place)
    limit = height_px
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - least_px
    return [(line, place) for (line, _), place in zip(ends, places, strict=True)]


def legend(entries: Sequence[tuple[str, str, str, str]]) -> Markup:
    """What each line is: name, colour, dash and the run's letter ('' where it is no run)."""
    return tag("div", [_legend_entry(*entry) for entry in entries], class_="legend")


def _legend_entry(name: str, colour: str, dash: str, run: str) -> Markup:
    sample = tag("line", x1=1, x2=21, y1=6, y2=6, stroke=colour, stroke_dasharray=dash or None, class_="line")
    drawing = tag("svg", sample, width=22, height=12, aria_hidden="true")
    return tag("span", drawing, join(name), class_="entry", data_toggle=run or None)
