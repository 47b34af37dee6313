"""The plays: when each request is due, the same for all peers."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers.work import Arrival, Work
from rnb.load.load import Load
from rnb.load.schedule import make_schedule

Plays = Sequence[tuple[float, list[Arrival]]]
"""The rate of each, 0: all at once, and its arrivals."""


def plays_of(work: Work, rates: Sequence[float]) -> Plays:
    """All at once, then Poisson arrivals at each rate, in requests a second."""
    return [(rate, _arrivals(work, rate)) for rate in (0, *rates)]


def _arrivals(work: Work, rate: float) -> list[Arrival]:
    load = Load(mean_interval_ms=1000 / rate if rate else 0, videos=len(work.videos), seed=work.seed)
    _, schedule = make_schedule(load, work.videos)
    return [Arrival(request, due_ns / 1e9) for request, due_ns in enumerate(schedule.arrivals_ns.tolist())]
