"""Whether the figures can be trusted: first of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from rnb.analysis.verdict import Judgement
from rnb.show.judgement import LOOKS, look_of
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, table

MAX_SPELLED_OUT = 4
"""Runs with a verdict each; of more, the reasons come first."""
WORST_FIRST = (Judgement.INVALID, Judgement.NOT_JUDGED, Judgement.VALID)


def section(runs: Sequence[Subject]) -> Markup:
    verdicts = [_verdict(run, is_alone=len(runs) == 1) for run in runs]
    shown = verdicts if len(runs) <= MAX_SPELLED_OUT else [_overall(runs), details("Run by run", verdicts)]
    return tag("section", shown, id="verdict")


def _overall(runs: Sequence[Subject]) -> Content:
    by_reason: dict[str, list[Subject]] = defaultdict(list)
    for run in runs:
        for finding in run.findings.verdict.grounds:
            by_reason[finding.reason.value].append(run)
    counts = Counter(run.findings.verdict.judgement for run in runs)
    boxes = [_box(one, counts[one], len(runs)) for one in WORST_FIRST if counts[one]]
    rows = [[tag("b", reason), _badges(named)] for reason, named in by_reason.items()]
    return [boxes, table(["reason", "runs"], rows, num_text_columns=2) if rows else None]


def _box(judgement: Judgement, number: int, num_runs: int) -> Markup:
    of_runs = f"all {num_runs} runs" if number == num_runs else f"{number} of {num_runs} runs"
    return tag(
        "div", tag("b", f"{judgement.value}: {of_runs}"), class_=f"verdict {LOOKS[judgement].css_class}"
    )


def _badges(runs: Sequence[Subject]) -> Content:
    return tag("div", [[run.badge, " "] for run in runs], class_="wraps")


def _verdict(run: Subject, *, is_alone: bool) -> Markup:
    verdict, meta = run.findings.verdict, run.findings.meta
    heading = tag("b", verdict.judgement.value)
    grounds: list[Content] = [
        [tag("b", finding.reason.value), f": {finding.seen}. To do: {finding.advice}"]
        for finding in verdict.grounds
    ]
    grounds += [f"Note: {note}" for note in verdict.notes]
    if not meta.is_success:
        grounds.insert(0, f"The run failed: {meta.message}")
    return tag(
        "div",
        heading if is_alone else [heading, " ", run.badge, f" {run.name}"],
        tag("ul", [tag("li", ground) for ground in grounds]) if grounds else None,
        class_=f"verdict {look_of(verdict).css_class}",
        data_run=None if is_alone else run.letter,
    )
