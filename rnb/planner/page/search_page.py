"""The page of a search."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rnb.planner.finding import SearchFinding
from rnb.planner.page import candidates, gains, provenance, resources, searched, tradeoff
from rnb.planner.page.goal_words import asked
from rnb.planner.plan_text import shown
from rnb.planner.resources import Use, uses_of
from rnb.show.page.markup import Markup
from rnb.show.page.page import document, save
from rnb.show.page.wording import number


def write_search_page(path: Path, found: SearchFinding) -> None:
    """Raises PageError."""
    config = found.space.spec.config
    sections: list[Markup | None] = [
        tradeoff.section(found),
        candidates.section(found) if found.chosen else None,
        resources.section(_uses(found)),
        gains.section(_name(found), found.explanation),
        searched.section(found),
        provenance.section(found.simulator, config.data, {"goal": asked(found.goal)}),
    ]
    where = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {config.name}, {asked(found.goal)}"
    save(path, document(_title(found), where, sections))


def _title(found: SearchFinding) -> str:
    """The answer in a line."""
    if found.best is None or found.best.measured is None:
        return f"RnB: {found.space.spec.config.name}: nothing was played yet"
    name, value = found.goal.figure(found.best.measured)
    return f"RnB: {shown(found.space, found.best)}: {name} {number(value)} as measured"


def _name(found: SearchFinding) -> str:
    return shown(found.space, found.best) if found.best else "the one that is predicted to be best"


def _uses(found: SearchFinding) -> list[tuple[str, list[Use]]]:
    """Of the config as it was and of the best, in their last runs."""
    shown_ones = list(found.chosen[:1])
    if found.best is not None and found.best is not found.chosen[0]:
        shown_ones.append(found.best)
    return [
        (f"{shown(found.space, one)}, as played", uses_of(one.runs[-1])) for one in shown_ones if one.runs
    ]
