"""How the stages of a request look: the colour says which step, the pattern what kind of stage."""

from __future__ import annotations

from rnb.contract.events import Stage, StageKind
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.palette import LIGHT, step_colour

PATTERNS = {
    StageKind.WAIT: "wait",
    StageKind.GATHER: "gather",
    StageKind.SLOT: "slot",
    StageKind.HAND_OFF: "hand-off",
    StageKind.RECEIVE: "receive",
}
"""Of the stages around a call, which itself is full."""
_SIZE = 6


def stage_fill(stage: Stage) -> str:
    """Grey for what belongs to no step."""
    if stage.step is None:
        return "var(--muted)"
    if stage.kind is StageKind.CALL:
        return step_colour(stage.step)
    return f"url(#{PATTERNS[stage.kind]}-{stage.step % len(LIGHT)})"


def definitions() -> Markup:
    """The patterns, once for the whole page."""
    patterns = [_pattern(kind, step) for step in range(len(LIGHT)) for kind in PATTERNS.values()]
    return tag("svg", tag("defs", patterns), width=0, height=0, class_="definitions", aria_hidden="true")


def swatch(fill: str) -> Markup:
    """A sample for a legend or a table."""
    square = tag("rect", width=14, height=14, fill=fill)
    return tag("svg", square, width=14, height=14, class_="swatch", aria_hidden="true")


def _pattern(kind: str, step: int) -> Markup:
    return tag(
        "pattern",
        tag("rect", width=_SIZE, height=_SIZE, fill=step_colour(step), opacity=0.28),
        _strokes(kind, step_colour(step)),
        id=f"{kind}-{step}",
        width=_SIZE,
        height=_SIZE,
        patternUnits="userSpaceOnUse",
    )


def _strokes(kind: str, colour: str) -> Content:
    if kind == "slot":
        return tag("circle", cx=3, cy=3, r=1.4, fill=colour)
    paths = {"gather": "M-1 1L1 -1M0 6L6 0M5 7L7 5", "hand-off": "M3 0V6", "receive": "M0 3H6"}
    return tag("path", d=paths[kind], stroke=colour, stroke_width=1.6) if kind in paths else None
