"""What was searched, and what was ruled out by what."""

from __future__ import annotations

from rnb.planner.finding import SearchFinding
from rnb.show.page.markup import Markup, tag
from rnb.show.page.tables import table
from rnb.show.page.wording import number


def section(found: SearchFinding) -> Markup:
    space, num_ruled_out = found.space, sum(found.ruled_out.values())
    counted = (
        f"{number(space.num_candidates)} candidates: {number(num_ruled_out)} ruled out,"
        f" {number(len(found.worked_out))} worked out by simulation, {len(found.chosen)} chosen to be played."
    )
    reasons = [[reason, number(count)] for reason, count in found.ruled_out.items()]
    return tag(
        "section",
        tag("h2", "What was searched"),
        tag("p", counted),
        tag("ul", [tag("li", line.strip()) for line in space.describe()]),
        table(["ruled out since it", "candidates"], reasons) if reasons else None,
        id="space",
    )
