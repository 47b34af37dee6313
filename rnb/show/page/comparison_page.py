"""The page about all runs below a folder, for whoever does not compare them otherwise."""

from __future__ import annotations

from pathlib import Path

from rnb.analysis.comparison import contrast, group_members, members_of
from rnb.analysis.run_search import search
from rnb.show.page.page import write_page
from rnb.show.page.subject import Findings, note_findings, subject_alone, subjects_compared


def write_comparison_page(path: Path, folder: Path) -> None:
    """Compare them as `compare.py folder` does. Raises PageError, RunFolderError."""
    findings: dict[Path, Findings] = {}
    groups = group_members(members_of(note_findings(search([folder]).read(), findings)))
    contrasts = [contrast(groups[0], group) for group in groups[1:]]
    subjects = subjects_compared(groups, contrasts, findings)
    write_page(path, subjects if len(subjects) > 1 else [subject_alone(subjects[0].findings)])
