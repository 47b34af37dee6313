"""How many requests wait before each step, and how many are in the whole system, over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.population import Population
from rnb.contract.events import SENT, Event, EventKind
from rnb.record.run import Run, Times

MOST_POINTS = 1000
"""Of a curve in a picture."""


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """How many requests waited before a step during the measured phase; where they come split, segments."""

    step: int
    mean: float
    max: int


def queue_depths(run: Run) -> list[QueueDepth]:
    """The depth before each step, over all its queues; of steps of which the times of the put are known."""
    seconds = run.seconds
    if seconds <= 0:
        return []
    return [
        QueueDepth(
            step=step,
            mean=float(waiting.means(np.array([0.0, seconds]))[0]),
            max=waiting.max(0.0, seconds),
        )
        for step, waiting in waiting_before_steps(run).items()
    ]


def waiting_before_steps(run: Run) -> dict[int, Population]:
    """Who waits before each step; seconds from the start of the measured phase.

    It holds every request, also one of the warm-up that still waits. One that was put and never taken stays.
    """
    populations = {}
    for step in range(run.num_steps):
        puts, takes = puts_before(run, step), list(run.segments(Event(EventKind.TAKEN, step)).values())
        if puts and takes:
            # A step that splits requests puts all their segments at once.
            pairs = list(zip(puts if len(puts) == len(takes) else puts[:1] * len(takes), takes, strict=True))
            populations[step] = _population(
                np.concatenate([put for put, _ in pairs]),
                np.concatenate([take for _, take in pairs]),
                run.window_ns[0],
            )
    return populations


def puts_before(run: Run, step: int) -> list[Times]:
    """When requests came into the queue before a step; without hand-off times, when they were done."""
    if step == 0:
        return list(run.segments(SENT).values())
    handed_on = run.segments(Event(EventKind.HANDED_ON, step - 1))
    return list((handed_on or run.segments(Event(EventKind.FINISHED, step - 1))).values())


def in_system(run: Run, *, only_measured: bool = False) -> Population:
    """Who is due and not done, but for refused requests; seconds from the start of the measured phase."""
    counts = ~run.ended_as("refused") & (run.is_measured | (not only_measured))
    is_done = run.ended_as("finished", "failed", "dropped")
    came_ns, left_ns = np.where(counts, run.due_ns, 0), np.where(is_done, run.ends_ns, 0)
    return _population(came_ns, left_ns, run.window_ns[0])


def _population(came_ns: Times, left_ns: Times, origin_ns: int) -> Population:
    """Of int64 epoch ns; 0 = did not come, did not leave."""
    has_come = came_ns > 0
    came_ns, left_ns = came_ns[has_come], left_ns[has_come]
    left_s = np.where(left_ns > 0, (left_ns - origin_ns) / 1e9, np.inf)
    return Population((came_ns - origin_ns) / 1e9, left_s)


def curve(
    population: Population, seconds: float, num_points: int = MOST_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For a picture: the middles of equal spans of the measured phase, and the mean of each."""
    edges_s = np.linspace(0.0, seconds, num_points + 1)
    return (edges_s[1:] + edges_s[:-1]) / 2, population.means(edges_s)
