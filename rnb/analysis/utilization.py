"""What each worker did with the measured phase: busy, waiting for input, waiting for a slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.events import num_steps, segments
from rnb.run_folder import Run

Times = NDArray[np.int64]
Spans = tuple[Times, Times]
"""Starts and ends in epoch ns, 0 = not reached."""


@dataclass(frozen=True, kw_only=True)
class Utilization:
    """Shares of the measured phase; they add up to 1."""

    step: int
    replica: int
    worker: int | None
    """None: the mean over the replica's workers."""
    busy: float
    """In the step's call: from inference_start to inference_finish."""
    waiting_for_input: float
    """There was nothing to do: what is left of the phase."""
    waiting_for_slot: float
    """No slot was free for the output, as the next step had not released one."""
    other: float
    """Gathering and assembling a batch, copying the output, handing it on."""


SHARES = ("busy", "waiting_for_input", "waiting_for_slot", "other")


@dataclass(frozen=True, kw_only=True)
class _Served:
    """The timestamps of the requests, or of one segment of them, that workers of a step took."""

    replica: NDArray[np.int32]
    worker: NDArray[np.int32]
    taken: Times
    slot_start: Times
    """The same as `start` where the step does not write in place."""
    start: Times
    finish: Times
    slot_finish: Times
    """The same as `finish` where the step does not copy into a slot."""
    handed_on: Times

    def of(self, replica: int, worker: int) -> _Served:
        rows = np.flatnonzero((self.replica == replica) & (self.worker == worker))
        return _Served(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def worker_utilizations(run: Run) -> list[Utilization]:
    """Of each worker; none of a run that does not tell who served what, or that had no measured phase.

    All requests are looked at, those of the warm-up too: they may reach into the measured phase.
    """
    window_ns = run.window_ns
    if run.meta is None or window_ns[1] <= window_ns[0]:
        return []
    found = []
    for step in range(num_steps(run)):
        served = list(_served(run, step))
        for replica, worker in _workers(run, step) if served else ():
            shares = _shares([part.of(replica, worker) for part in served], window_ns)
            found.append(Utilization(step=step, replica=replica, worker=worker, **shares))
    return found


def replica_utilizations(workers: Sequence[Utilization]) -> list[Utilization]:
    """The means over the workers of each replica."""
    groups: dict[tuple[int, int], list[Utilization]] = {}
    for entry in workers:
        groups.setdefault((entry.step, entry.replica), []).append(entry)
    return [
        Utilization(step=step, replica=replica, worker=None, **mean_shares(group))
        for (step, replica), group in groups.items()
    ]


def mean_shares(entries: Sequence[Utilization]) -> dict[str, float]:
    return {name: float(np.mean([getattr(entry, name) for entry in entries])) for name in SHARES}


def busiest_step(workers: Sequence[Utilization]) -> int | None:
    """The step whose workers are busy most, on average: the bottleneck, if there is one. None: not known."""
    steps = sorted({entry.step for entry in workers})
    busy = {step: mean_shares([entry for entry in workers if entry.step == step])["busy"] for step in steps}
    return max(busy, key=busy.__getitem__, default=None)


def _workers(run: Run, step: int) -> list[tuple[int, int]]:
    assert run.meta
    return [
        (replica["replica"], worker)
        for replica in run.meta.replicas
        if replica["step"] == step
        for worker in range(replica.get("workers", 1))
    ]


def _served(run: Run, step: int) -> Iterator[_Served]:
    """What the step served, a part for each segment; none where the run does not tell by which worker."""
    for suffix, taken in segments(run, f"runner{step}_start").items():
        start = _column(run, f"inference{step}_start", suffix)
        finish = _column(run, f"inference{step}_finish", suffix)
        if f"worker{step}{suffix}" not in run.requests or start is None or finish is None:
            continue
        slot_start, slot_finish, handed_on = (
            _column(run, event, suffix)
            for event in (f"slot{step}_start", f"slot{step}_finish", f"handoff{step}_finish")
        )
        slot_finish = finish if slot_finish is None else slot_finish
        yield _Served(
            replica=run.requests[f"replica{step}{suffix}"],
            worker=run.requests[f"worker{step}{suffix}"],
            taken=taken,
            slot_start=start if slot_start is None else slot_start,
            start=start,
            finish=finish,
            slot_finish=slot_finish,
            handed_on=slot_finish if handed_on is None else handed_on,
        )


def _column(run: Run, event: str, suffix: str) -> Times | None:
    """Of the segment; a step that joins the segments has one column for all of them."""
    columns = segments(run, event)
    return columns.get(suffix, columns.get(""))


def _shares(served: Sequence[_Served], window_ns: tuple[int, int]) -> dict[str, float]:
    """Of one worker. A moment that lies in spans of several states counts for the first of them here.

    With a batch they overlap: one request waits for a slot while the one before it is handed on.
    """
    states = {
        "busy": [_calls(served)],
        "delivering": [(part.slot_finish, part.handed_on) for part in served],
        "waiting_for_slot": [
            span
            for part in served
            for span in ((part.slot_start, part.start), (part.finish, part.slot_finish))
        ],
        "gathering": [(part.taken, part.slot_start) for part in served],
    }
    covered_ns, spans, found = 0, list[Spans](), dict[str, float]()
    length_ns = window_ns[1] - window_ns[0]
    for state, more in states.items():
        spans += more
        before_ns, covered_ns = covered_ns, _covered_ns(spans, window_ns)
        found[state] = (covered_ns - before_ns) / length_ns
    return {
        "busy": found["busy"],
        "waiting_for_input": 1 - covered_ns / length_ns,
        "waiting_for_slot": found["waiting_for_slot"],
        "other": found["delivering"] + found["gathering"],
    }


def _calls(served: Sequence[_Served]) -> Spans:
    """The calls of one worker: requests that finished together were in one.

    A step that holds requests back gives them out in the call that the last of them began.
    """
    start = np.concatenate([part.start for part in served])
    finish = np.concatenate([part.finish for part in served])
    order = np.argsort(finish, kind="stable")
    start, finish = start[order], finish[order]
    if not len(finish):
        return start, finish
    first = np.flatnonzero(np.diff(finish, prepend=-1))
    return np.maximum.reduceat(start, first), finish[first]


def _covered_ns(spans: Sequence[Spans], window_ns: tuple[int, int]) -> int:
    """How much of the window the union of the spans covers; those not begun or not ended are left out."""
    starts = np.concatenate([start for start, _ in spans])
    ends = np.concatenate([end for _, end in spans])
    counts = (starts > 0) & (ends > starts)
    starts, ends = np.clip(starts[counts], *window_ns), np.clip(ends[counts], *window_ns)
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    if not len(starts):
        return 0
    starts[1:] = np.maximum(starts[1:], ends[:-1])
    return int(np.maximum(ends - starts, 0).sum())
