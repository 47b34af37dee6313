"""What a page shows of simulated runs."""

from __future__ import annotations

from pathlib import Path

from rnb.analysis.comparison import contrast, group_members, members_of
from rnb.analysis.run_search import FoundRun
from rnb.record.run import Run
from rnb.show.page.subject import (
    Findings,
    Subject,
    findings_of,
    note_findings,
    subject_alone,
    subjects_compared,
)
from tests.support.simulated_runs import simulate


def alone(run: Run) -> list[Subject]:
    return [subject_alone(findings_of(run))]


def compared(runs: list[Run]) -> list[Subject]:
    """As compare.py does it."""
    findings: dict[Path, Findings] = {}
    found = [(FoundRun(folder=run.folder, swept=None), run) for run in runs if run.folder]
    groups = group_members(members_of(note_findings(found, findings)))
    return subjects_compared(groups, [contrast(groups[0], group) for group in groups[1:]], findings)


def sweep(num_runs: int, num_requests: int = 2000) -> list[Run]:
    """Runs at higher and higher rates, the last ones too high."""
    return [
        simulate(
            f"logs/sweep-{index}",
            rate_per_s=320 * (index + 1) / num_runs,
            seed=index,
            num_requests=num_requests,
        )
        for index in range(num_runs)
    ]
