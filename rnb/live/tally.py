"""Counts what each step did, in Triton's terms, from the timestamps of requests that were answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE, SENT, Event, EventKind
from rnb.live.asking import BOUNDS_MS, Histogram, StepStatistics, Work
from rnb.live.ledger import Ledger
from rnb.live.table import Outcome

Times = NDArray[np.int64]
_ORDER = (EventKind.TAKEN, EventKind.STARTED, EventKind.FINISHED, EventKind.HANDED_ON)
_PARTS = ("queue", "compute_input", "compute_infer", "compute_output")
_WORKS = ("success", "fail", "cancel", *_PARTS)
_BOUNDS_NS = np.array(BOUNDS_MS) * 1e6


@dataclass(kw_only=True)
class _Counter:
    """Of one step, or of the pipeline."""

    work: dict[str, list[int]] = field(default_factory=dict)
    """By the name of a field of StepStatistics: count, ns."""
    num_calls: int = 0
    last_ns: int = 0
    buckets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BOUNDS_MS) + 1, np.int64))

    def add(self, name: str, lengths_ns: Times) -> None:
        told = self.work.setdefault(name, [0, 0])
        told[0] += len(lengths_ns)
        told[1] += int(lengths_ns.sum())

    def add_success(self, lengths_ns: Times, ends_ns: Times) -> None:
        self.add("success", lengths_ns)
        places = np.searchsorted(_BOUNDS_NS, lengths_ns)
        self.buckets += np.bincount(places, minlength=len(self.buckets))
        self.last_ns = max(self.last_ns, int(ends_ns.max(initial=0)))

    def statistics(self, epoch_offset_ns: int) -> StepStatistics:
        works = {name: self._work(name) for name in _WORKS}
        last_ms = (self.last_ns + epoch_offset_ns) // 1_000_000 if self.last_ns else 0
        return StepStatistics(
            inference_count=works["success"].count,
            execution_count=self.num_calls,
            last_inference_ms=last_ms,
            **works,
        )

    def _work(self, name: str) -> Work:
        count, ns = self.work.get(name, (0, 0))
        return Work(count=count, ns=ns)

    def histogram(self) -> Histogram:
        return Histogram(counts=tuple(self.buckets.tolist()), ns=self.work.get("success", [0, 0])[1])


class Tally:
    """Of a whole pipeline since its start."""

    def __init__(self, name: str, step_names: Sequence[str], events: Sequence[Event]) -> None:
        self._columns = {
            (one.kind, one.step): [column for column, other in enumerate(events) if other.whole == one.whole]
            for one in events
        }
        self._name, self._whole = name, _Counter()
        self._steps = {step: _Counter() for step in step_names}
        self._started: dict[int, Times] = {}
        """Of each step, the starts of the calls that were counted last."""

    def statistics(self, epoch_offset_ns: int) -> Mapping[str, StepStatistics]:
        return {name: one.statistics(epoch_offset_ns) for name, one in self._counters().items()}

    def histograms(self) -> Mapping[str, Histogram]:
        return {name: one.histogram() for name, one in self._counters().items()}

    def _counters(self) -> dict[str, _Counter]:
        return {self._name: self._whole, **self._steps}

    def count(self, ledger: Ledger, first: int) -> None:
        """Count the requests of a ledger from this place on."""
        times = ledger.times[first : ledger.num_requests]
        outcomes = ledger.outcomes[first : ledger.num_requests]
        ended_ns, outcome = outcomes["ended_ns"], outcomes["outcome"]
        is_dropped = outcome == Outcome.DROPPED
        is_failed = (outcome == Outcome.BAD) | (outcome == Outcome.LOST)
        is_served = ~is_dropped & ~is_failed
        due_ns = self._last(times, DUE.kind, None)
        whole = self._whole
        whole.add_success((ended_ns - due_ns)[is_served], ended_ns[is_served])
        whole.add("fail", (ended_ns - due_ns)[is_failed])
        whole.add("cancel", (ended_ns - due_ns)[is_dropped])
        whole.num_calls += int(np.count_nonzero(is_served))
        before_ns = self._last(times, SENT.kind, None)
        totals = {name: np.zeros(len(times), np.int64) for name in _PARTS}
        for step, counter in enumerate(self._steps.values()):
            left_ns, parts = self._parts(step, times, before_ns)
            is_done = left_ns > 0
            ends_here = (before_ns > 0) & ~is_done
            counter.add_success((left_ns - before_ns)[is_done], left_ns[is_done])
            counter.add("fail", (ended_ns - before_ns)[ends_here & is_failed])
            counter.add("cancel", (ended_ns - before_ns)[ends_here & is_dropped])
            for name, lengths_ns in parts.items():
                counter.add(name, lengths_ns[is_done])
                totals[name] += np.where(is_done, lengths_ns, 0)
            counter.num_calls += self._num_new_calls(step, times[is_done])
            before_ns = left_ns
        for name, total_ns in totals.items():
            whole.add(name, total_ns[is_served])

    def _parts(self, step: int, times: Times, before_ns: Times) -> tuple[Times, dict[str, Times]]:
        """When each request left a step, 0: it did not; and how long the parts of its stay took."""
        taken, started, finished, handed_on = (self._last(times, kind, step) for kind in _ORDER)
        left_ns = np.where(handed_on > 0, handed_on, finished)
        is_done = (before_ns > 0) & (taken > 0) & (started > 0) & (finished > 0)
        parts = {
            "queue": taken - before_ns,
            "compute_input": started - taken,
            "compute_infer": finished - started,
            "compute_output": left_ns - finished,
        }
        return np.where(is_done, left_ns, 0), parts

    def _num_new_calls(self, step: int, times: Times) -> int:
        """Requests of a call have its start in common, and are answered one after the other."""
        starts = np.unique(self._last(times, EventKind.STARTED, step))
        new = np.setdiff1d(starts, self._started.get(step, starts[:0]), assume_unique=True)
        if len(starts):
            self._started[step] = starts
        return len(new)

    def _last(self, times: Times, kind: EventKind, step: int | None) -> Times:
        """When it happened to the last of its segments; 0: not to all of them, or it is not noted."""
        columns = self._columns.get((kind, step))
        if columns is None:
            return np.zeros(len(times), np.int64)
        found = times[:, columns]
        return np.where((found > 0).all(1), found.max(1), 0)
