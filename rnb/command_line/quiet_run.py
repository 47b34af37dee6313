"""A run that a search plays: what it warns of is kept, for when it fails and ends the search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rnb.campaigns.campaign import RunFailed
from rnb.campaigns.outcome import Outcome, play_and_judge
from rnb.command_line.signals import stop_on_signals
from rnb.planner.origin import origin_of
from rnb.planner.profile import Profile
from rnb.play import Interruption
from rnb.spec import RunSpec


def play_quietly(profile: Profile, spec: RunSpec, logs: Path) -> Outcome:
    """Raises UsageError, also where it is not of the profile's machine, RunFailed, KeyboardInterrupt."""
    warnings: list[str] = []
    interruption = Interruption()
    with stop_on_signals(interruption) as asked_for:
        outcome = play_and_judge(spec, logs, interruption=interruption, warn=warnings.append)
    if asked_for.is_set:
        raise KeyboardInterrupt
    if not outcome.is_success:
        problem = f"the run in {outcome.run.folder} failed: {outcome.problem}"
        raise RunFailed(problem, replace(outcome, warnings=warnings))
    profile.check(origin_of(outcome.run), f"the run in {outcome.run.folder}")
    return outcome
