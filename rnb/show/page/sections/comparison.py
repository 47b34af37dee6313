"""Every run, or group of repeats, against the first: faster, slower or inconclusive, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.analysis.comparison import FASTER, SLOWER, Contrast
from rnb.analysis.estimate import Estimate
from rnb.analysis.figures import GOODPUT, MAIN_FIGURES, Figure
from rnb.analysis.ratio import CONFIDENCE
from rnb.show.page.forest import Effect, forest
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import table
from rnb.show.page.wording import NONE, number

CLASSES = {FASTER: "good", SLOWER: "bad"}
SHOWN = (*MAIN_FIGURES, GOODPUT)


def section(runs: Sequence[Subject]) -> Markup | None:
    """None where nothing is compared."""
    firsts = list({run.group: run for run in reversed(runs)}.values())[::-1]
    compared = [(run, run.contrast) for run in firsts if run.contrast]
    if not compared:
        return None
    explanation = (
        f"Against {firsts[0].group_letter}: how many times as much, with {CONFIDENCE:.0%} intervals. "
        "Requests are paired where both runs played "
        "the same schedule; where all come at once the throughput decides, else the mean latency."
    )
    forests = [_forest(compared, is_latency=True), _forest(compared, is_latency=False)]
    return tag(
        "section",
        tag("h2", "Comparison"),
        tag("p", explanation, class_="note"),
        tag("div", forests, class_="grid-of-charts two"),
        _table(firsts),
    )


def _forest(compared: Sequence[tuple[Subject, Contrast]], *, is_latency: bool) -> Markup | None:
    effects = [
        Effect(
            label=run.group_badge,
            change=one.effects.latency if is_latency else one.effects.throughput,
            colour=run.colour,
            run=run.letter,
        )
        for run, one in compared
        if one.effects
    ]
    title = "Change of the mean latency" if is_latency else "Change of the throughput"
    return forest(title, effects, is_more_better=not is_latency) if effects else None


def _table(firsts: Sequence[Subject]) -> Markup:
    shown = [figure for figure in SHOWN if any(_figure(run, figure) for run in firsts)]
    names = [name for figure in shown for name in (figure.title(), "Δ")]
    header: list[Content] = ["", "", *names, "same results"]
    return table(header, [_row(firsts[0], run, shown) for run in firsts], num_text_columns=2)


def _row(reference: Subject, run: Subject, shown: Sequence[Figure]) -> list[Content]:
    verdict, agreement, reason = "", "", ""
    if run.contrast:
        verdict, reason = run.contrast.verdict, run.contrast.reason
        agreement = f"{number(run.contrast.num_agreeing)} of {number(run.contrast.num_compared)}"
    figures: list[Content] = []
    for figure in shown:
        first, other = _figure(reference, figure), _figure(run, figure)
        figures += [_words(other), "" if run is reference else _change(first, other)]
    return [
        run.group_badge,
        [
            tag("b", verdict, class_=CLASSES.get(verdict)),
            tag("small", reason, class_="wraps") if reason else None,
        ],
        *figures,
        agreement,
    ]


def _figure(run: Subject, figure: Figure) -> Estimate | None:
    return run.repeats.figure(figure) if run.repeats else None


def _words(estimate: Estimate | None) -> str:
    if estimate is None:
        return NONE
    margin = "" if estimate.margin is None else f" ± {number(estimate.margin)}"
    return f"{number(estimate.value)}{margin}"


def _change(first: Estimate | None, other: Estimate | None) -> str:
    if first is None or other is None or not first.value:
        return NONE
    return f"{100 * (other.value / first.value - 1):+.1f} %"
