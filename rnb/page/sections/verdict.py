"""Whether the figures can be trusted: first of all."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.page.markup import Content, Markup, tag
from rnb.page.subject import Subject
from rnb.page.tables import details

MAX_SPELLED_OUT = 4
"""Runs of which the reasons are shown; of more, those are a click away."""


def section(runs: Sequence[Subject]) -> Markup:
    is_alone = len(runs) == 1
    is_open = len(runs) <= MAX_SPELLED_OUT
    return tag("section", [_verdict(run, is_alone=is_alone, is_open=is_open) for run in runs], id="verdict")


def _verdict(run: Subject, *, is_alone: bool, is_open: bool) -> Markup:
    verdict, meta = run.findings.verdict, run.findings.meta
    heading = tag("b", "VALID" if verdict.is_valid else "INVALID")
    named: Content = heading if is_alone else [heading, " ", run.badge, " ", tag("span", run.name)]
    grounds: list[Content] = [
        [tag("b", finding.reason.value), f": {finding.seen}. To do: {finding.advice}"]
        for finding in verdict.findings
    ]
    grounds += [f"Note: {note}" for note in verdict.notes]
    if meta and not meta.is_success:
        grounds.insert(0, f"The run failed: {meta.message}")
    return tag(
        "div",
        _with_grounds(named, grounds, is_open=is_open),
        class_=f"verdict {'good' if verdict.is_valid else 'bad'}",
        data_run=None if is_alone else run.letter,
    )


def _with_grounds(heading: Content, grounds: Sequence[Content], *, is_open: bool) -> Content:
    if not grounds:
        return heading
    listed = tag("ul", [tag("li", ground) for ground in grounds])
    if is_open:
        return [heading, listed]
    return details([heading, tag("span", f" {len(grounds)} to read", class_="note")], listed)
