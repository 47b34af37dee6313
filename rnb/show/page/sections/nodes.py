"""The nodes of a run over several: how well their clocks are known, and what they did."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.show.page.markup import Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import table
from rnb.show.text.node_text import HEADER, node_cells


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [run for run in runs if run.findings.summary.nodes]
    if not shown:
        return None
    rows = [
        [[run.badge, f" {name}"] if len(runs) > 1 else name, *others]
        for run in shown
        for name, *others in map(node_cells, run.findings.summary.nodes)
    ]
    explanation = (
        "No time of a node is further off than its clock; within a node times are exact. Busy is the mean"
        " over the node's replicas, the CPUs are those that the run may use there."
    )
    return tag(
        "section",
        tag("h2", "Nodes"),
        tag("p", explanation, class_="note"),
        table(HEADER, rows, num_text_columns=2),
    )
