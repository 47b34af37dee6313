"""The config as it was and the best candidates: what was predicted, what was measured, and the error."""

from __future__ import annotations

import string

from rnb.planner.bottleneck import bottleneck
from rnb.planner.finding import SearchFinding
from rnb.planner.page.goal_words import under
from rnb.planner.plan_text import shown, standard, verdict
from rnb.planner.verification import Verified
from rnb.show.page.markup import Content, Markup, tag
from rnb.show.page.tables import facts, table
from rnb.show.page.wording import NONE, number


def section(found: SearchFinding) -> Markup:
    name, _ = found.goal.figure(found.chosen[0].predicted)
    explanation = (
        f"Means over the runs of each, {under(found.goal)}; the error is that of the prediction. The verdict"
        f" is by the rules of compare.py, against A, {standard(found.chosen, found.space)}."
    )
    header = ["", "", "against A", f"predicted {name}", "measured", "error", "runs"]
    letters = dict(zip(string.ascii_uppercase, found.chosen, strict=False))
    held_up: list[tuple[str, Content]] = [
        (letter, f"held up by {bottleneck(one.runs[-1])}") for letter, one in letters.items() if one.runs
    ]
    return tag(
        "section",
        tag("h2", "Candidates"),
        tag("p", explanation, class_="note"),
        table(header, [_row(letter, one, found) for letter, one in letters.items()], num_text_columns=3),
        facts(held_up),
        id="candidates",
    )


def _row(letter: str, one: Verified, found: SearchFinding) -> list[Content]:
    error, name = one.error(found.goal), shown(found.space, one)
    return [
        letter,
        tag("b", f"{name} (the best)") if one is found.best else name,
        verdict(one),
        number(found.goal.figure(one.predicted)[1]),
        number(found.goal.figure(one.measured)[1]) if one.measured else NONE,
        NONE if error is None else f"{100 * error:+.1f} %",
        str(len(one.runs)),
    ]
