"""The same run several times: its schedule is the same in each."""

from __future__ import annotations

from collections.abc import Iterator

from rnb.campaigns.campaign import Campaign
from rnb.campaigns.outcome import Outcome


def repeat(campaign: Campaign, num_runs: int) -> Iterator[Outcome]:
    """Play the runs, until one fails. Raises UsageError, RunFailed."""
    for _ in range(num_runs):
        outcome = campaign.run()
        yield outcome
        if not outcome.is_success:
            return
