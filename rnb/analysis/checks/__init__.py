"""What is looked at for a verdict: a check for each reason, and the notes.

Each takes the `Facts` of a run and returns what it has found, or None when all is well.
"""

from __future__ import annotations

from collections.abc import Callable

from rnb.analysis.checks import (
    amount,
    client,
    clocks,
    ends,
    faults,
    jobs,
    memory,
    missing,
    nodes,
    other_load,
    outcomes,
    steadiness,
)
from rnb.analysis.checks.facts import Facts
from rnb.analysis.reasons import Finding

Check = Callable[[Facts], Finding | None]
Note = Callable[[Facts], str | None]

CAUSES: tuple[Check, ...] = (ends.queue_full, ends.process_failed, ends.interrupted, ends.requests_lost)
"""Why a run was cut short. The first one that is found is told alone."""
CHECKS: tuple[Check, ...] = (
    outcomes.requests_failed,
    amount.too_short,
    amount.too_few,
    amount.bound_missed,
    other_load.other_load,
    client.client_late,
    clocks.clocks_throttled,
    clocks.clocks_dropped,
    steadiness.not_steady,
    steadiness.littles_law_broken,
    memory.memory_grows,
    nodes.clocks_apart,
)
MISSING: tuple[Check, ...] = (missing.steadiness_untested, missing.machine_unwatched)
NOTES: tuple[Note, ...] = (
    faults.fault_note,
    jobs.jobs_note,
    amount.bound_note,
    steadiness.steady_note,
    steadiness.cut_note,
    steadiness.pause_note,
    other_load.load_note,
    clocks.clock_note,
    clocks.power_note,
    nodes.clock_bound_note,
    outcomes.odd_requests,
)
CUT_SHORT_NOTES: tuple[Note, ...] = (faults.fault_note, jobs.jobs_note, outcomes.odd_requests)
