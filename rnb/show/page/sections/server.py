"""What a server says of its own models, where the run was played to one."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.show.page.markup import Markup, tag
from rnb.show.page.subject import Subject
from rnb.show.page.tables import table
from rnb.show.text.server_text import HEADER, cells


def section(runs: Sequence[Subject]) -> Markup | None:
    shown = [(run, step) for run in runs for step in run.findings.summary.server_steps]
    if not shown:
        return None
    rows = [
        [[run.badge, f" {name}"] if len(runs) > 1 else name, *figures]
        for run, step in shown
        for name, *figures in [cells(step)]
    ]
    explanation = (
        "Means over the whole run, its warm-up and other clients' requests too, from the server's statistics"
        " before and after it. What it does not count, the network and its own front end, is not in them."
    )
    return tag(
        "section",
        tag("h2", "The server's own figures"),
        tag("p", explanation, class_="note"),
        table(["", *HEADER[1:]], rows),
    )
