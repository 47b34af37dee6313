"""A dot for each repeat: how far runs differ by themselves, and whether they drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnb.show.page.charts import Chart, Mark
from rnb.show.page.markup import Markup, tag
from rnb.show.page.scales import Scale, categories, exactly
from rnb.show.page.subject import Subject
from rnb.show.page.wording import duration, number

WIDTH = 0.6
"""Of a group's place, for its repeats side by side."""
Value = Callable[[Subject], float | None]


def section(runs: Sequence[Subject]) -> Markup | None:
    """None where no run was repeated."""
    if not any(run.member for run in runs):
        return None
    charts = [
        _chart(runs, "Throughput", "/s", lambda run: run.findings.summary.videos_per_s),
        _chart(runs, "Mean latency", "ms", lambda run: run.findings.end_to_end.mean_ms),
        _chart(runs, "p50", "ms", lambda run: run.percentile_ms("p50")),
        _chart(runs, "p99", "ms", lambda run: run.percentile_ms("p99")),
    ]
    return tag(
        "section",
        tag("h2", "Repeats"),
        tag("p", "A dot for each run, those of a group from the first to the last.", class_="note"),
        tag("div", charts, class_="grid-of-charts"),
    )


def _chart(runs: Sequence[Subject], title: str, unit: str, value_of: Value) -> Markup | None:
    groups = list(dict.fromkeys(run.group for run in runs))
    known = [(run, value) for run in runs if (value := value_of(run)) is not None]
    if not known:
        return None
    names = {run.group: run.group_letter for run in runs}
    x: Scale = categories([names[group] for group in groups])
    marks = [
        Mark(
            x=groups.index(run.group) + _aside(run),
            y=value,
            name=f"{run.letter}: {duration(value) if unit == 'ms' else f'{number(value)}/s'}",
            colour=run.colour,
            run=run.letter,
        )
        for run, value in known
    ]
    y = _around([value for _, value in known], unit)
    return Chart(title=title, x=x, y=y, x_name="", lines=[], marks=marks, height_px=200).draw()


def _around(values: Sequence[float], unit: str) -> Scale:
    """Close enough to see how far they differ, not so close that a hundredth looks much."""
    low, high = min(values), max(values)
    room = max(0.1 * (high - low), 0.02 * high)
    return exactly(max(0.0, low - room), high + room, unit)


def _aside(run: Subject) -> float:
    """From the middle of its group's place."""
    if run.member is None or run.repeats is None:
        return 0.0
    return WIDTH * (run.member / (len(run.repeats.members) - 1) - 0.5)
