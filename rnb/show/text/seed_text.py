"""The averages that snuspl/rnb prints at the end of a run."""

from __future__ import annotations

import itertools

from rnb.analysis.statistics import merge_segments
from rnb.contract.events import EventKind
from rnb.record import seed_format
from rnb.record.run import Run

NUM_SUMMARY_SKIPS = 10
"""The seed leaves the first requests out of its averages."""


def average_lines(run: Run) -> list[str]:
    """Between the events that the seed knows, over the finished requests.

    The first NUM_SUMMARY_SKIPS are left out where there are more.
    """
    finished, known = run.finished, seed_format.EVENTS | {EventKind.OTHER}
    times = {event: times[finished] for event, times in run.times.items() if event.kind in known}
    merged = merge_segments(times)
    count = int(finished.sum())
    if not count:
        return ["No request finished, so there are no averages."]
    skips = NUM_SUMMARY_SKIPS if count > NUM_SUMMARY_SKIPS else 0
    return [
        f"Average time between {before.name} and {after.name}:"
        f" {float((merged[after] - merged[before])[skips:].mean()) / 1e6:f} ms"
        for before, after in itertools.pairwise(merged)
    ]
