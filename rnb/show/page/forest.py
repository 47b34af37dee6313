"""Changes with their intervals, one below the other around no change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnb.analysis.ratio import Ratio
from rnb.show.page.markup import Content, Markup, per_cent, tag
from rnb.show.page.scales import Scale, exactly

HEIGHT_PX = 20
MAX_LINEAR = 1.0
"""Of changes beyond a doubling the ratio's logarithm is drawn, so that they leave room for the others."""
LEAST_RATIO = 0.01
RATIOS = (0.01, 0.1, 0.5, 1.0, 2.0, 10.0, 100.0, 1000.0)
"""Ticks on that scale."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    label: Content
    change: Ratio
    colour: str
    run: str


def forest(title: str, effects: Sequence[Effect], *, is_more_better: bool) -> Markup:
    """Each with its 95 % interval, in the order given."""
    ends = [end for effect in effects for end in _ends(effect.change)]
    scale = _scale(min(0.0, *ends), max(0.0, *ends))
    rows = [
        [
            tag("div", effect.label, class_="bar-label", data_run=effect.run),
            tag("div", _drawing(scale, effect), class_="bar", data_run=effect.run),
            tag("div", str(effect.change), class_="bar-total", data_run=effect.run),
        ]
        for effect in effects
    ]
    hint = tag("div", "better →" if is_more_better else "← better", class_="bar-total note")
    axis = [tag("div"), tag("div", _axis(scale), class_="bar"), hint]
    return tag(
        "figure", tag("figcaption", title), tag("div", rows, axis, class_="bars forest"), class_="chart"
    )


def _ends(change: Ratio) -> tuple[float, float]:
    """As shares: 0.1 is 10 % more."""
    low, high = change.interval or (change.value, change.value)
    return low - 1, min(high, RATIOS[-1]) - 1


def _scale(low: float, high: float) -> Scale:
    """Of ratios: 1 is no change, 0 the least; an interval that goes on is cut there."""
    if high <= MAX_LINEAR:
        room = 0.05 * (high - low)
        return exactly(max(0.0, 1 + low - room), 1 + high + room, "")
    bottom, top = max(LEAST_RATIO, 1 + low) / 1.1, (1 + high) * 1.1
    ticks = tuple(ratio for ratio in RATIOS if bottom <= ratio <= top)
    return Scale(kind="log", low=bottom, high=top, unit="", ticks=ticks)


def _drawing(scale: Scale, effect: Effect) -> Markup:
    low, high = (per_cent(scale.position(1 + end)) for end in _ends(effect.change))
    none, middle = per_cent(scale.position(1.0)), HEIGHT_PX / 2
    place = per_cent(scale.position(effect.change.value))
    return tag(
        "svg",
        tag("line", x1=none, x2=none, y1=-3, y2=HEIGHT_PX + 3, class_="zero"),
        tag("line", x1=low, x2=high, y1=middle, y2=middle, stroke=effect.colour, stroke_width=3),
        tag("circle", cx=place, cy=middle, r=5, fill=effect.colour),
        width="100%",
        height=HEIGHT_PX,
        role="img",
        tabindex=0,
        aria_label=str(effect.change),
    )


def _axis(scale: Scale) -> Markup:
    nearest = min(range(len(scale.ticks)), key=lambda index: abs(scale.ticks[index] - 1))
    labels = [
        tag(
            "text",
            _tick(ratio),
            x=per_cent(scale.position(ratio)),
            y=13,
            class_="minor" if (index - nearest) % 2 else None,
        )
        for index, ratio in enumerate(scale.ticks)
    ]
    return tag("svg", labels, width="100%", height=18, class_="ticks", aria_hidden="true")


def _tick(ratio: float) -> str:
    return "0" if abs(ratio - 1) < 1e-9 else f"{100 * (ratio - 1):+.6g} %"
