"""What one more of each thing would give."""

from __future__ import annotations

from rnb.planner.explanation import Explanation
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.tables import table
from rnb.show.page.wording import duration, number


def section(name: str, found: Explanation) -> Markup:
    """Of the config that is called so."""
    now = found.predicted
    explanation = (
        f"By simulation, from {name}: requests/s when all come at once, and the p99 at"
        f" {number(now.rate_per_s)}/s."
    )
    header = ["", "requests", "change", "p99", "change"]
    rows: list[list[Content]] = [[name, f"{number(now.per_s)}/s", "", duration(now.p99_ms), ""]]
    for one in found.gains:
        then = one.predicted
        rows.append(
            [
                one.what,
                f"{number(then.per_s)}/s",
                _change(then.per_s, now.per_s),
                duration(then.p99_ms),
                _change(then.p99_ms, now.p99_ms),
            ]
        )
    return tag(
        "section",
        tag("h2", "What more would give"),
        tag("p", f"Held up by {found.in_words}."),
        tag("p", explanation, class_="note"),
        table(header, rows),
        id="gains",
    )


def _change(then: float, now: float) -> str:
    return f"{100 * (then / now - 1):+.1f} %"
