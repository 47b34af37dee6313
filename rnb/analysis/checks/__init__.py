"""What is looked at for a verdict: a check for each reason, and the notes.

Each takes the `Facts` of a run and returns what it has found, or None when all is well.
"""

from __future__ import annotations

from collections.abc import Callable

from rnb.analysis.checks import amount, client, machine, outcomes, steadiness
from rnb.analysis.checks.facts import Facts
from rnb.analysis.reasons import Finding

CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    outcomes.requests_lost,
    outcomes.requests_failed,
    outcomes.queue_full,
    amount.too_short,
    amount.too_few,
    amount.bound_missed,
    client.client_late,
    machine.clocks_throttled,
    steadiness.not_steady,
    steadiness.littles_law_broken,
)
NOTES: tuple[Callable[[Facts], str | None], ...] = (
    amount.bound_note,
    steadiness.steady_note,
    steadiness.cut_note,
    steadiness.pause_note,
    machine.power_note,
    outcomes.odd_requests,
)
