"""What each step had to do: which requests were there when, and what each of them took of its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.queue_depth import puts_before
from rnb.contract.events import Event, EventKind
from rnb.record.run import Run, Times

OVERLAP_NS = 1000
"""Calls that overlap by less follow each other."""


@dataclass(frozen=True, kw_only=True)
class StepWork:
    """A row for each request, or segment, that the step has finished; in the order of the requests."""

    step: int
    came_ns: Times
    """When those that came were put before the step, those that it did not finish too."""
    left_ns: Times
    """When they were finished, the end of the run where they were not."""
    row: NDArray[np.intp]
    """In the run, of those that it finished."""
    start_ns: Times
    """When that call began of which it was a part."""
    finish_ns: Times
    batch: NDArray[np.int64]
    """How many were in that call."""
    num_workers: int

    @cached_property
    def capacity(self) -> int:
        """How many it serves at once: workers with the largest batch, or as many as were in calls at once."""
        starts_ns = np.sort(self.start_ns, kind="stable")
        num_done = np.searchsorted(np.sort(self.finish_ns, kind="stable") - OVERLAP_NS, starts_ns, "right")
        in_calls: NDArray[np.int64] = np.searchsorted(starts_ns, starts_ns, "right") - num_done
        most = int(in_calls.max(initial=0))
        return max(self.num_workers * int(self.batch.max(initial=1)), most)

    @property
    def service_ms(self) -> NDArray[np.float64]:
        """How long each of those calls took."""
        taken_ms: NDArray[np.float64] = (self.finish_ns - self.start_ns) / 1e6
        return taken_ms

    @property
    def relative_service(self) -> NDArray[np.float64]:
        """The duration of each call, against the mean of all calls with as many requests."""
        sums, counts = np.bincount(self.batch, self.service_ms), np.bincount(self.batch)
        means = np.divide(sums, counts, out=np.ones(len(sums)), where=sums > 0)[self.batch]
        relative: NDArray[np.float64] = self.service_ms / means
        return relative


def step_work(run: Run) -> Iterator[StepWork]:
    """Of each step of which the times are known."""
    for step in range(run.num_steps):
        starts, finishes = (
            list(run.segments(Event(kind, step)).values()) for kind in (EventKind.STARTED, EventKind.FINISHED)
        )
        puts = puts_before(run, step)
        if puts and starts and len(starts) == len(finishes):
            came = puts if len(puts) == len(finishes) else puts[:1] * len(finishes)
            yield _work(run, step, *map(np.concatenate, (came, starts, finishes)))


def _work(run: Run, step: int, came_ns: Times, start_ns: Times, finish_ns: Times) -> StepWork:
    has_come, is_done = came_ns > 0, (start_ns > 0) & (finish_ns > 0)
    row = np.flatnonzero(is_done) % run.num_requests
    _, call, sizes = np.unique(finish_ns[is_done], return_inverse=True, return_counts=True)
    order = np.argsort(row, kind="stable")
    return StepWork(
        step=step,
        came_ns=came_ns[has_come],
        left_ns=np.where(finish_ns[has_come] > 0, finish_ns[has_come], max(run.end_ns, run.window_ns[1])),
        row=row[order],
        start_ns=start_ns[is_done][order],
        finish_ns=finish_ns[is_done][order],
        batch=sizes[call][order],
        num_workers=_num_workers(run, step),
    )


def _num_workers(run: Run, step: int) -> int:
    """At least one: a folder of snuspl/rnb does not tell."""
    workers = [int(entry.get("workers", 1)) for entry in run.meta.replicas if entry["step"] == step]
    return max(1, sum(workers))
