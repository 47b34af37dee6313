"""When a replica had work and finished none for far longer than it usually takes: it was stalled, or hung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import visits_of
from rnb.record.run import Run

MIN_RATIO = 20.0
"""Of the time that a request usually keeps its worker, the median; of exponential services one in a million
takes as long."""
MIN_S = 0.1
MAX_STALLS = 5
"""The longest ones."""


@dataclass(frozen=True, kw_only=True)
class Stall:
    """In seconds from the start of the measured phase."""

    replicas: tuple[str, ...]
    """As 'step 1.0'; those whose stalls overlap are one."""
    start_s: float
    end_s: float

    @property
    def text(self) -> str:
        return f"{', '.join(self.replicas)} served nothing for {self.end_s - self.start_s:.2g} s"


def stalls(run: Run) -> list[Stall]:
    """The longest ones of the measured phase, by time."""
    found = [stall for step in range(run.num_steps) for stall in _of_step(run, step)]
    joined = _joined(sorted(found, key=lambda stall: stall.start_s))
    longest = sorted(joined, key=lambda stall: stall.start_s - stall.end_s)[:MAX_STALLS]
    return sorted(longest, key=lambda stall: stall.start_s)


def _of_step(run: Run, step: int) -> list[Stall]:
    visits = visits_of(run, step)
    done = np.flatnonzero((visits.finish_ns > 0) & (visits.put_ns > 0))
    order = done[np.lexsort((visits.finish_ns[done], visits.worker[done], visits.replica[done]))]
    if not len(order):
        return []
    replica, worker, finish_ns = visits.replica[order], visits.worker[order], visits.finish_ns[order]
    begin_ns = visits.put_ns[order]
    is_same = (replica[1:] == replica[:-1]) & (worker[1:] == worker[:-1])
    begin_ns[1:] = np.maximum(begin_ns[1:], np.where(is_same, finish_ns[:-1], 0))
    kept_s = (finish_ns - begin_ns) / 1e9
    is_long = kept_s > max(MIN_S, MIN_RATIO * _median_above_0(kept_s))
    zero_ns = run.window_ns[0]
    return [
        Stall(
            replicas=(f"step {step}.{replica[row]}",),
            start_s=max(0.0, int(begin_ns[row] - zero_ns) / 1e9),
            end_s=int(finish_ns[row] - zero_ns) / 1e9,
        )
        for row in np.flatnonzero(is_long & (finish_ns > zero_ns)).tolist()
    ]


def _median_above_0(values: NDArray[np.float64]) -> float:
    """Without the requests of a batch that end with the one before them."""
    return float(np.median(values[values > 0])) if (values > 0).any() else 0.0


def _joined(in_order: list[Stall]) -> list[Stall]:
    """Those that overlap as one."""
    joined: list[Stall] = []
    for stall in in_order:
        if joined and stall.start_s < joined[-1].end_s:
            last = joined.pop()
            names = tuple(sorted({*last.replicas, *stall.replicas}))
            end_s = max(last.end_s, stall.end_s)
            stall = Stall(replicas=names, start_s=last.start_s, end_s=end_s)
        joined.append(stall)
    return joined
