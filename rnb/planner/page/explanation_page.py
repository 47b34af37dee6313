"""The page of optimize.py --explain and --what-if."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rnb.planner.curve import Curve
from rnb.planner.explanation import Explanation
from rnb.planner.page import ceilings, curve, gains, provenance, resources
from rnb.planner.system import System
from rnb.show.page.page import document, save
from rnb.show.page.wording import number

NAME = "the config as it is"


def write_explanation_page(
    path: Path, system: System, found: Explanation | None, drawn: Curve | None
) -> None:
    """Raises PageError."""
    config = system.spec.config
    sections = []
    if found:
        sections += [
            gains.section(NAME, found),
            resources.section([("While all requests come at once, simulated", found.uses)]),
            ceilings.section(found.ceilings, found.predicted),
        ]
    if drawn:
        sections.append(curve.section(drawn))
    sections.append(provenance.section(system.simulator, config.data, {}))
    where = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {config.name}, simulated from a profile"
    save(path, document(f"RnB: {config.name}: {_title(found, drawn)}", where, sections))


def _title(found: Explanation | None, drawn: Curve | None) -> str:
    if found:
        return f"{number(found.predicted.per_s)} requests/s, held up by {found.in_words}"
    return "what if" if drawn else ""
