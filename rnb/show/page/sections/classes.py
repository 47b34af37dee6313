"""Which classes were found, by name."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import details, table
from rnb.show.page.wording import number, share

MAX_SHOWN = 10
"""The most frequent ones."""


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [run for run in runs if run.findings.classes]
    if not shown:
        return None
    tables: list[Content] = [_of_one(run) for run in shown]
    each = [[tag("h3", run.badge, f" {run.label}"), one] for run, one in zip(shown, tables, strict=True)]
    explanation = f"The classes of the requests that finished, at most {MAX_SHOWN}; score: the mean softmax."
    return tag(
        "section",
        tag("h2", "Classes"),
        tag("p", explanation, class_="note"),
        tables if len(shown) == 1 else details("Each run", each),
    )


def _of_one(run: Subject) -> Markup:
    classes = run.findings.classes
    total = sum(one.num_requests for one in classes)
    rows: list[list[Content]] = [
        [one.name, number(one.num_requests), share(one.num_requests / total), share(one.mean_score)]
        for one in classes[:MAX_SHOWN]
    ]
    return table(["class", "requests", "of all", "score"], rows)
