"""The whole page: all sections one below the other, with their style, script and colours inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from rnb.show.page import palette
from rnb.show.page.fills import definitions
from rnb.show.page.markup import Markup, join, tag
from rnb.show.page.sections import (
    breakdown,
    classes,
    comparison,
    devices,
    histogram,
    latency,
    load,
    occupancy,
    overview,
    provenance,
    queues,
    repeats,
    replicas,
    tail,
    timeline,
    tradeoff,
    verdict,
)
from rnb.show.page.subject import Subject


class PageError(Exception):
    """A page that cannot be written: one line with the path and the reason."""


Section: TypeAlias = Callable[[Sequence[Subject]], Markup | None]

SECTIONS: tuple[Section, ...] = (
    verdict.section,
    overview.section,
    comparison.section,
    repeats.section,
    timeline.section,
    latency.section,
    histogram.section,
    load.section,
    tradeoff.section,
    breakdown.section,
    tail.section,
    queues.section,
    replicas.section,
    devices.section,
    occupancy.section,
    classes.section,
    provenance.section,
)
"""From top to bottom. A section that returns None is left out."""

SCRIPTS = ("scales.js", "reading.js", "zoom.js", "runs.js")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The page asks nothing of the network, and a browser would not let it."""


def render(subjects: Sequence[Subject]) -> str:
    """The page as one text."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("link", rel="icon", href="data:,"),
        tag("title", _title(subjects)),
        tag("style", Markup(_style())),
    )
    sections = [section(subjects) for section in SECTIONS]
    body = tag(
        "body",
        definitions(),
        tag("header", tag("h1", _title(subjects)), tag("p", _circumstances(subjects[0]))),
        tag("main", *sections),
        tag("script", Markup("".join(map(_own_file, SCRIPTS)))),
    )
    return join(Markup("<!doctype html>\n"), tag("html", head, body, lang="en"), "\n")


def write_page(path: Path, subjects: Sequence[Subject]) -> None:
    """Raises PageError."""
    try:
        path.write_text(render(subjects), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise PageError(f"{path}: cannot be written: {error.strerror}") from None


def _title(subjects: Sequence[Subject]) -> str:
    return f"RnB: {subjects[0].name}" if len(subjects) == 1 else f"RnB: {len(subjects)} runs"


def _circumstances(first: Subject) -> str:
    """When, what and where the first run was."""
    meta = first.findings.meta
    if meta.is_seed_format:
        return str(first.findings.folder)
    started = datetime.fromtimestamp(meta.began_epoch_ns / 1e9, UTC)
    gpus = sorted({str(gpu.get("name")) for gpu in meta.provenance.get("gpus") or []})
    commit = str(meta.provenance.get("commit") or "")[:12]
    facts = [f"{started:%Y-%m-%d %H:%M} UTC", meta.config_name, *gpus, meta.provenance.get("cpu"), commit]
    return ", ".join(str(fact) for fact in facts if fact)


def _style() -> str:
    light = palette.variables(palette.LIGHT, palette.LIGHT_BACKGROUND)
    dark = palette.variables(palette.DARK, palette.DARK_BACKGROUND)
    themes = f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
    return themes + _own_file("style.css")


def _own_file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
