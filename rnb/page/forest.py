"""Changes with their intervals, one below the other around no change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnb.analysis.estimate import Estimate
from rnb.page.markup import Content, Markup, per_cent, tag
from rnb.page.scales import Scale, exactly

HEIGHT_PX = 20


@dataclass(frozen=True, kw_only=True)
class Effect:
    label: Content
    percent: Estimate
    colour: str
    run: str


def forest(title: str, effects: Sequence[Effect], *, good: int) -> Markup:
    """`good`: 1 when more is better, -1 when less is."""
    ends = [end for effect in effects for end in _ends(effect.percent)]
    scale = exactly(min(0.0, *ends) * 1.05, max(0.0, *ends) * 1.05, "%")
    hint = "better →" if good > 0 else "← better"
    rows = [
        [
            tag("div", effect.label, class_="bar-label", data_run=effect.run),
            tag("div", _drawing(scale, effect), class_="bar", data_run=effect.run),
            tag("div", _words(effect.percent), class_="bar-total", data_run=effect.run),
        ]
        for effect in effects
    ]
    axis = ["", tag("div", _axis(scale), class_="bar"), tag("div", hint, class_="bar-total note")]
    cells = [*rows, [tag("div"), *axis[1:]]]
    return tag("figure", tag("figcaption", title), tag("div", cells, class_="bars forest"), class_="chart")


def _ends(percent: Estimate) -> tuple[float, float]:
    margin = percent.margin or 0.0
    return percent.value - margin, percent.value + margin


def _words(percent: Estimate) -> str:
    margin = "" if percent.margin is None else f" ± {percent.margin:.1f}"
    return f"{percent.value:+.1f}{margin} %"


def _drawing(scale: Scale, effect: Effect) -> Markup:
    low, high = (per_cent(scale.position(end)) for end in _ends(effect.percent))
    zero, middle = per_cent(scale.position(0.0)), HEIGHT_PX / 2
    return tag(
        "svg",
        tag("line", x1=zero, x2=zero, y1=-3, y2=HEIGHT_PX + 3, class_="zero"),
        tag("line", x1=low, x2=high, y1=middle, y2=middle, stroke=effect.colour, stroke_width=3),
        tag("circle", cx=per_cent(scale.position(effect.percent.value)), cy=middle, r=5, fill=effect.colour),
        width="100%",
        height=HEIGHT_PX,
        role="img",
        aria_label=_words(effect.percent),
    )


def _axis(scale: Scale) -> Markup:
    labels = [tag("text", f"{tick:+g} %", x=per_cent(scale.position(tick)), y=13) for tick in scale.ticks]
    return tag("svg", labels, width="100%", height=18, class_="ticks", aria_hidden="true")
