"""Whether the figures can be trusted: first of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, table

MAX_SPELLED_OUT = 4
"""Runs with a verdict each; of more, the reasons come first."""


def section(runs: Sequence[Subject]) -> Markup:
    verdicts = [_verdict(run, is_alone=len(runs) == 1) for run in runs]
    shown = verdicts if len(runs) <= MAX_SPELLED_OUT else [_overall(runs), details("Run by run", verdicts)]
    return tag("section", shown, id="verdict")


def _overall(runs: Sequence[Subject]) -> Content:
    invalid = [run for run in runs if not run.findings.verdict.is_valid]
    word = f"INVALID: {len(invalid)} of {len(runs)} runs" if invalid else f"VALID: all {len(runs)} runs"
    by_reason: dict[str, list[Subject]] = defaultdict(list)
    for run in invalid:
        for finding in run.findings.verdict.findings:
            by_reason[finding.reason.value].append(run)
    rows = [[tag("b", reason), _badges(named)] for reason, named in by_reason.items()]
    box = tag("div", tag("b", word), class_=f"verdict {'bad' if invalid else 'good'}")
    return [box, table(["reason", "runs"], rows, num_text_columns=2) if rows else None]


def _badges(runs: Sequence[Subject]) -> Content:
    return tag("div", [[run.badge, " "] for run in runs], class_="wraps")


def _verdict(run: Subject, *, is_alone: bool) -> Markup:
    verdict, meta = run.findings.verdict, run.findings.meta
    heading = tag("b", "VALID" if verdict.is_valid else "INVALID")
    grounds: list[Content] = [
        [tag("b", finding.reason.value), f": {finding.seen}. To do: {finding.advice}"]
        for finding in verdict.findings
    ]
    grounds += [f"Note: {note}" for note in verdict.notes]
    if not meta.is_success:
        grounds.insert(0, f"The run failed: {meta.message}")
    return tag(
        "div",
        heading if is_alone else [heading, " ", run.badge, f" {run.name}"],
        tag("ul", [tag("li", ground) for ground in grounds]) if grounds else None,
        class_=f"verdict {'good' if verdict.is_valid else 'bad'}",
        data_run=None if is_alone else run.letter,
    )
