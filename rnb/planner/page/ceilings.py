"""What each step alone could serve, and what the cores and the harness could."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.planner.ceilings import Ceiling
from rnb.planner.system import Predicted
from rnb.show.page.markup import Markup, tag
from rnb.show.page.tables import table
from rnb.show.page.wording import number, share


def section(ceilings: Sequence[Ceiling], predicted: Predicted) -> Markup:
    explanation = (
        "What each could serve if nothing else held it up. The lowest is what the config cannot exceed."
    )
    rows = [[one.name, f"{number(one.per_s)}/s", share(predicted.per_s / one.per_s)] for one in ceilings]
    return tag(
        "section",
        tag("h2", "Ceilings"),
        tag("p", explanation, class_="note"),
        table(["", "requests", "of it used"], rows),
        id="ceilings",
    )
