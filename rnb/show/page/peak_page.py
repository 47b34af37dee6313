"""The page about a search for the highest rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rnb.analysis.peak import PeakFinding
from rnb.analysis.run_search import search
from rnb.show.page.page import render_peak, save
from rnb.show.page.subject import RATE, Findings, Subject, note_findings, setting_in_words


def write_peak_page(path: Path, folder: Path, found: PeakFinding) -> None:
    """Of the probes below a folder. Raises PageError, RunFolderError."""
    findings: dict[Path, Findings] = {}
    for _ in note_findings(search([folder]).read(), findings):
        pass
    save(path, render_peak(found, _probes(findings)))


def _probes(findings: Mapping[Path, Findings]) -> list[Subject]:
    """By rate; the run that told where to begin is none of them, since all its requests came at once."""
    probes = [one for one in findings.values() if one.load]
    probes.sort(key=lambda one: one.load.offered_per_s if one.load else 0.0)
    labels = [setting_in_words(RATE, one.settings.get(RATE, "")) for one in probes]
    return [
        Subject(findings=one, label=label, group=group)
        for group, (one, label) in enumerate(zip(probes, labels, strict=True))
    ]
