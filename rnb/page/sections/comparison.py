"""Every run, or group of repeats, against the first: faster, slower or inconclusive, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.comparison import FASTER, SLOWER, Contrast
from rnb.analysis.estimate import Estimate
from rnb.page.forest import Effect, forest
from rnb.page.markup import Content, Markup, tag
from rnb.page.subject import Subject
from rnb.page.tables import table
from rnb.page.wording import NONE, duration, number

CLASSES = {FASTER: "good", SLOWER: "bad"}


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = _first_of_each_group(runs)
    if not shown:
        return None
    explanation = (
        f"Against {runs[0].letter}, with 95 % intervals. Requests are paired where both runs played the same "
        "schedule; where all come at once, the throughput decides, else the mean latency."
    )
    return tag(
        "section",
        tag("h2", "Comparison"),
        tag("p", explanation, class_="note"),
        tag(
            "div",
            [_forest(shown, is_latency=True), _forest(shown, is_latency=False)],
            class_="grid-of-charts two",
        ),
        table(
            ["", "", "mean latency", "Δ", "p99", "Δ", "throughput", "Δ", "same results", ""],
            [_row(runs[0], run, one) for run, one in shown],
            num_text_columns=2,
        ),
    )


def _first_of_each_group(runs: Sequence[Subject]) -> list[tuple[Subject, Contrast]]:
    found: dict[int, tuple[Subject, Contrast]] = {}
    for run in runs:
        if run.contrast and run.group not in found:
            found[run.group] = (run, run.contrast)
    return list(found.values())


def _forest(shown: Sequence[tuple[Subject, Contrast]], *, is_latency: bool) -> Markup | None:
    effects = [
        Effect(
            label=run.badge,
            percent=_percent(one.effects.latency if is_latency else one.effects.throughput),
            colour=run.colour,
            run=run.letter,
        )
        for run, one in shown
        if one.effects
    ]
    title = "Change of the mean latency" if is_latency else "Change of the throughput"
    return forest(title, effects, good=-1 if is_latency else 1) if effects else None


def _percent(estimate: Estimate) -> Estimate:
    return estimate.scaled(100.0)


def _row(reference: Subject, run: Subject, contrast: Contrast) -> list[Content]:
    first, other = reference.findings, run.findings
    agreement = (
        f"{number(contrast.num_agreeing)} of {number(contrast.num_compared)}"
        if contrast.num_compared
        else NONE
    )
    return [
        run.badge,
        tag("b", contrast.verdict, class_=CLASSES.get(contrast.verdict)),
        duration(other.end_to_end.mean_ms),
        _change(first.end_to_end.mean_ms, other.end_to_end.mean_ms),
        duration(run.percentile_ms("p99")),
        _change(reference.percentile_ms("p99"), run.percentile_ms("p99")),
        f"{number(other.summary.videos_per_s)}/s",
        _change(first.summary.videos_per_s, other.summary.videos_per_s),
        agreement,
        tag("small", contrast.reason),
    ]


def _change(first: float | None, other: float | None) -> str:
    return NONE if not first or other is None else f"{100 * (other / first - 1):+.1f} %"
