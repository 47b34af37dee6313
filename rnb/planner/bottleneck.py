"""What a run was held up by, in words."""

from __future__ import annotations

from rnb.analysis.utilization import mean_shares, worker_utilizations
from rnb.record.run import Run

BUSY = 0.9
"""A step whose workers are busy for so much of the time is the bottleneck."""


def bottleneck(run: Run) -> str:
    """What a run, a simulated or a real one, was held up by."""
    shares = {}
    entries = worker_utilizations(run)
    for step in sorted({entry.step for entry in entries}):
        shares[step] = mean_shares([entry for entry in entries if entry.step == step])
    if not shares:
        return "not known"
    busiest = max(shares, key=lambda step: shares[step]["busy"])
    busy = shares[busiest]["busy"]
    name = f"step {busiest} {run.step_names[busiest]}"
    waits = max(shares, key=lambda step: shares[step]["waiting_for_slot"])
    if busy < BUSY and shares[waits]["waiting_for_slot"] > 1 - BUSY:
        share = shares[waits]["waiting_for_slot"]
        return f"step {waits} {run.step_names[waits]} waits for a free slot {share:.0%} of the time"
    return f"{name}: its workers are busy {busy:.0%} of the time"
