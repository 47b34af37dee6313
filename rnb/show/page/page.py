"""The whole page: all sections one below the other, with their style, script and colours inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from rnb.analysis.peak import PeakFinding
from rnb.show.page import palette
from rnb.show.page.fills import definitions
from rnb.show.page.markup import Content, Markup, join, tag
from rnb.show.page.sections import (
    breakdown,
    classes,
    comparison,
    devices,
    histogram,
    latency,
    load,
    nodes,
    occupancy,
    overview,
    peak,
    provenance,
    queues,
    repeats,
    replicas,
    server,
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
    nodes.section,
    server.section,
    devices.section,
    occupancy.section,
    classes.section,
    provenance.section,
)
"""From top to bottom. A section that returns None is left out."""

SCRIPTS = ("scales.js", "reading.js", "zoom.js", "runs.js")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The page asks nothing of the network, and a browser would not let it."""


PEAK_SECTIONS: tuple[Section, ...] = (
    *(one for one in SECTIONS if one not in (verdict.section, comparison.section, tradeoff.section)),
    verdict.section,
)
"""Of the probes of a search, below what it found. They are short and go beyond the limit on purpose, so the
verdict on each comes last."""


def render(subjects: Sequence[Subject]) -> str:
    """The page about one run, or about several, as one text."""
    return _of_runs(_title(subjects), subjects, [section(subjects) for section in SECTIONS])


def render_peak(found: PeakFinding, probes: Sequence[Subject]) -> str:
    """The page about a search, as one text."""
    sections = [section(probes) for section in PEAK_SECTIONS] if probes else []
    return _of_runs(peak.title(found), probes, [peak.section(found, probes), *sections])


def _of_runs(title: str, subjects: Sequence[Subject], sections: Content) -> str:
    return document(title, _circumstances(subjects[0]) if subjects else "", sections)


def document(title: str, where: str, sections: Content) -> str:
    """A whole page as one text; `where`: when, what and on what machine."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Markup(_style())),
    )
    body = tag(
        "body",
        definitions(),
        tag("header", tag("h1", title), tag("p", where) if where else None),
        tag("main", sections),
        tag("script", Markup("".join(map(_own_file, SCRIPTS)))),
    )
    return join(Markup("<!doctype html>\n"), tag("html", head, body, lang="en"), "\n")


def write_page(path: Path, subjects: Sequence[Subject]) -> None:
    """Raises PageError."""
    save(path, render(subjects))


def save(path: Path, page: str) -> None:
    """Raises PageError."""
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
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
