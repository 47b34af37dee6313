"""The columns of a run's events. A request in segments has an event once a segment: `runner1_start-0`, …"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from rnb.run_folder import Run

_TAKEN = re.compile(r"runner(\d+)_start(-\d+)?")


def num_steps(run: Run) -> int:
    """How many steps the run's events tell of."""
    taken = map(_TAKEN.fullmatch, run.events)
    return max((int(match[1]) + 1 for match in taken if match), default=0)


def segments(run: Run, event: str) -> dict[str, NDArray[np.int64]]:
    """The event's columns in epoch ns by suffix, '' or '-0', '-1', …; none where it was not recorded."""
    found = re.compile(re.escape(event) + r"(-\d+)?")
    matches = {name: found.fullmatch(name) for name in run.events}
    return {match[1] or "": run.times[name] for name, match in matches.items() if match}


def arrivals_ns(run: Run) -> NDArray[np.int64]:
    """When each request was due; in folders of snuspl/rnb, which do not tell, when it was sent."""
    return run.times["scheduled" if "scheduled" in run.times else run.events[0]]


def last_arrival_s(run: Run) -> float:
    """When the last measured request was due, in seconds from the start of the measured phase."""
    due_ns = arrivals_ns(run)[run.is_measured]
    return float(int(due_ns.max()) - run.window_ns[0]) / 1e9 if len(due_ns) else 0.0
