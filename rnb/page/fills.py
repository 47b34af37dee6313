"""How the stages of a request look: the colour says which step, the pattern what kind of stage."""

from __future__ import annotations

import re

from rnb.page.markup import Content, Markup, tag
from rnb.page.palette import LIGHT, step_colour

KINDS = ("service", "wait", "gather", "slot", "hand-off")
_STAGE = re.compile(r"(?P<kind>wait|gather|slot|hand-off|step)(?: for step| after step)? (?P<step>\d+)\b.*")
_SIZE = 6


def stage_fill(stage: str) -> str:
    """For a stage as rnb.analysis.statistics names it; grey for what belongs to no step."""
    match = _STAGE.fullmatch(stage)
    if match is None:
        return "var(--muted)"
    step = int(match["step"])
    if match["kind"] == "step":
        return step_colour(step)
    return f"url(#{match['kind']}-{step % len(LIGHT)})"


def definitions() -> Markup:
    """The patterns, once for the whole page."""
    patterns = [_pattern(kind, step) for step in range(len(LIGHT)) for kind in KINDS[1:]]
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
    paths = {"gather": "M-1 1L1 -1M0 6L6 0M5 7L7 5", "hand-off": "M3 0V6"}
    return tag("path", d=paths[kind], stroke=colour, stroke_width=1.6) if kind in paths else None
