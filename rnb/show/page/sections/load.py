"""Runs at several rates: up to where the pipeline keeps up, and what that costs in latency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from rnb.analysis.load_curve import KEPT_UP, RATE_FLAGS, knee
from rnb.analysis.settings import group_key
from rnb.show.page.charts import Chart, Line, Mark, Reference
from rnb.show.page.markup import Markup, tag
from rnb.show.page.scales import Scale, linear, wide
from rnb.show.page.subject import Subject
from rnb.show.page.wording import duration, number

PERCENTILES = ("p50", "p99")
MIN_SPREAD = 1.02
"""Of the rates; those of repeats differ by chance."""
Series = Sequence[Sequence[Subject]]
Value = Callable[[Subject], float | None]


def section(runs: Sequence[Subject]) -> Markup | None:
    """None unless there are runs at several rates."""
    rates = [run.findings.load.offered_per_s for run in runs if run.findings.load]
    if len(rates) < 2 or max(rates) < MIN_SPREAD * min(rates):
        return None
    series = _series(runs)
    x = linear(max(rates), "/s")
    charts = [
        *(_latency(series, x, percentile) for percentile in PERCENTILES),
        _rate("Served rate", series, x, _served),
        _rate(_goodput_title(runs), series, x, _goodput),
    ]
    explanation = (
        "A point for each run; a line joins runs that differ in nothing but the load. The knee is the "
        f"highest offered rate up to which every run served at least {KEPT_UP:.0%} of what was offered."
    )
    no_knee = "None shows here: all runs of a line kept up, or none did."
    return tag(
        "section",
        tag("h2", "Latency against offered rate"),
        tag("p", explanation if _knees(series) else f"{explanation} {no_knee}", class_="note"),
        tag("div", charts, class_="grid-of-charts"),
    )


def _series(runs: Sequence[Subject]) -> list[list[Subject]]:
    """Runs with a rate, those together that are alike in all but the load, by rate."""
    kinds: dict[object, list[Subject]] = defaultdict(list)
    for run in sorted((run for run in runs if run.findings.load), key=_offered):
        settings = {key: value for key, value in run.findings.settings.items() if key not in RATE_FLAGS}
        kinds[group_key(settings)].append(run)
    return list(kinds.values())


def _offered(run: Subject) -> float:
    return run.findings.load.offered_per_s if run.findings.load else 0.0


def _served(run: Subject) -> float | None:
    return run.findings.load.served_per_s if run.findings.load else None


def _goodput(run: Subject) -> float | None:
    goodput = run.findings.summary.goodput
    return goodput.per_s if goodput else None


def _bounds(runs: Sequence[Subject]) -> list[float]:
    return sorted({float(run.findings.args["slo"]) for run in runs if run.findings.args.get("slo")})


def _goodput_title(runs: Sequence[Subject]) -> str:
    return f"Goodput: within {' or '.join(f'{bound:g}' for bound in _bounds(runs))} ms"


def _latency(series: Series, x: Scale, percentile: str) -> Markup | None:
    def value_of(run: Subject) -> float | None:
        return run.percentile_ms(percentile)

    values = _values(series, value_of)
    if not values:
        return None
    bounds = _bounds([run for kind in series for run in kind])
    y = wide(min([*values, *bounds]), max([*values, *bounds]), "ms")
    slo = [Reference(axis="y", value=bound, name=f"--slo {bound:g} ms") for bound in bounds]
    return _chart(f"{percentile} of the latency", series, x, y, value_of, [], slo)


def _rate(title: str, series: Series, x: Scale, value_of: Value) -> Markup | None:
    values = _values(series, value_of)
    if not values:
        return None
    ends = np.array([0.0, x.high])
    even = Line(name="", x=ends, y=ends, colour="var(--muted)", is_faint=True)
    return _chart(title, series, x, linear(max(*values, x.high), "/s"), value_of, [even], [])


def _values(series: Series, value_of: Value) -> list[float]:
    return [value for kind in series for run in kind if (value := value_of(run)) is not None]


def _chart(
    title: str,
    series: Series,
    x: Scale,
    y: Scale,
    value_of: Value,
    lines: Sequence[Line],
    references: Sequence[Reference],
) -> Markup:
    points = [[(run, value) for run in kind if (value := value_of(run)) is not None] for kind in series]
    joined = [
        Line(
            name="",
            x=np.array([_offered(run) for run, _ in kind]),
            y=np.array([value for _, value in kind]),
            colour="var(--muted)",
        )
        for kind in points
        if kind
    ]
    return Chart(
        title=title,
        x=x,
        y=y,
        x_name="offered rate",
        lines=[*lines, *joined],
        marks=[_mark(run, value, y) for kind in points for run, value in kind],
        labels=[(_offered(run), value, run.letter, run.letter) for kind in points for run, value in kind],
        references=[*_knees(series), *references],
        height_px=260,
    ).draw()


def _mark(run: Subject, value: float, y: Scale) -> Mark:
    words = duration(value) if y.unit == "ms" else f"{number(value)}/s"
    name = f"{run.letter} {run.label}: {words} at {number(_offered(run))}/s offered"
    return Mark(x=_offered(run), y=value, name=name, colour=run.colour, run=run.letter)


def _knees(series: Series) -> list[Reference]:
    found = [knee([run.findings.load for run in kind if run.findings.load]) for kind in series]
    return [
        Reference(axis="x", value=point.offered_per_s, name=f"knee {number(point.offered_per_s)}/s")
        for point in found
        if point
    ]
