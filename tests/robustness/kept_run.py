"""A small run that was really played, and its folder."""

from __future__ import annotations

from pathlib import Path

from rnb.campaigns.outcome import play_and_judge
from tests.support.played import NOTHING, spec_for


def make_run(folder: Path) -> Path:
    """Play a run below `folder`; returns its run folder."""
    outcome = play_and_judge(spec_for(folder, [NOTHING, NOTHING], observe=["telemetry"]), folder / "runs")
    assert outcome.is_success
    assert outcome.run.folder is not None
    return outcome.run.folder
