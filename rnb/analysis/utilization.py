"""What each worker did with the measured phase: busy, waiting for input, waiting for a slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import Calls, Visits, calls_of, visits_of
from rnb.contract.events import Event, EventKind
from rnb.record.run import Run, Times

Rows = NDArray[np.intp]
Spans = tuple[Times, Times]
"""Starts and ends in epoch ns, 0 = not reached."""


@dataclass(frozen=True, kw_only=True)
class Utilization:
    """Shares of the measured phase; they add up to 1."""

    step: int
    replica: int
    worker: int | None
    """None: the mean over the replica's workers."""
    node: int | None = None
    """Where it ran; None: the run had one machine."""
    busy: float
    """In the step's call: from inference_start to inference_finish."""
    waiting_for_input: float
    """There was nothing to do: what is left of the phase."""
    waiting_for_slot: float
    """No slot was free for the output, as the next step had not released one."""
    other: float
    """Gathering and assembling a batch, copying the output, handing it on."""


SHARES = ("busy", "waiting_for_input", "waiting_for_slot", "other")


def worker_utilizations(run: Run) -> list[Utilization]:
    """Of each worker; none of a run that does not tell who served what, or that had no measured phase.

    All requests are looked at, those of the warm-up too: they may reach into the measured phase.
    """
    window_ns = run.window_ns
    if window_ns[1] <= window_ns[0]:
        return []
    found, nodes = [], nodes_of_replicas(run)
    for step in range(run.num_steps):
        if not _knows_workers(run, step):
            continue
        visits = visits_of(run, step)
        calls = calls_of(visits)
        for replica, worker in _workers(run, step):
            shares = _shares(visits, calls, (replica, worker), window_ns)
            node = nodes.get((step, replica))
            found.append(Utilization(step=step, replica=replica, worker=worker, node=node, **shares))
    return found


def nodes_of_replicas(run: Run) -> dict[tuple[int, int], int]:
    """By step and replica; empty of a run on one machine."""
    if not run.meta.nodes:
        return {}
    return {(one["step"], one["replica"]): one.get("node", 0) for one in run.meta.replicas}


def replica_utilizations(workers: Sequence[Utilization]) -> list[Utilization]:
    """The means over the workers of each replica."""
    groups: dict[tuple[int, int], list[Utilization]] = {}
    for entry in workers:
        groups.setdefault((entry.step, entry.replica), []).append(entry)
    return [
        Utilization(step=step, replica=replica, worker=None, node=group[0].node, **mean_shares(group))
        for (step, replica), group in groups.items()
    ]


def mean_shares(entries: Sequence[Utilization]) -> dict[str, float]:
    return {name: float(np.mean([getattr(entry, name) for entry in entries])) for name in SHARES}


def busiest_step(workers: Sequence[Utilization]) -> int | None:
    """The step whose workers are busy most, on average: the bottleneck, if there is one. None: not known."""
    steps = sorted({entry.step for entry in workers})
    busy = {step: mean_shares([entry for entry in workers if entry.step == step])["busy"] for step in steps}
    return max(busy, key=busy.__getitem__, default=None)


def _knows_workers(run: Run, step: int) -> bool:
    segments = run.segments(Event(EventKind.TAKEN, step))
    return any(run.served_by("worker", step, segment) is not None for segment in segments)


def _workers(run: Run, step: int) -> list[tuple[int, int]]:
    return [
        (replica["replica"], worker)
        for replica in run.meta.replicas
        if replica["step"] == step
        for worker in range(replica.get("workers", 1))
    ]


def _shares(
    visits: Visits, calls: Calls, server: tuple[int, int], window_ns: tuple[int, int]
) -> dict[str, float]:
    """Of one worker of a replica.

    A moment that lies in spans of several states counts for the first of them here: with a batch they
    overlap, as one request waits for a slot while the one before it is handed on.
    """
    call = _served_by(calls, server)
    visit = _served_by(visits, server)
    start_ns, finish_ns, slot_ns = visits.start_ns[visit], visits.finish_ns[visit], visits.slot_ns[visit]
    slot_wait_ns = visits.slot_wait_ns[visit]
    states = {
        "busy": [(calls.start_ns[call], calls.finish_ns[call])],
        "delivering": [(slot_ns, visits.handoff_ns[visit])],
        "waiting_for_slot": [(slot_wait_ns, start_ns), (finish_ns, slot_ns)],
        "gathering": [(visits.taken_ns[visit], slot_wait_ns)],
    }
    covered_ns, spans, found = 0, list[Spans](), dict[str, float]()
    length_ns = window_ns[1] - window_ns[0]
    for state, more in states.items():
        spans += more
        before_ns, covered_ns = covered_ns, union_ns(spans, window_ns)
        found[state] = (covered_ns - before_ns) / length_ns
    return {
        "busy": found["busy"],
        "waiting_for_input": 1 - covered_ns / length_ns,
        "waiting_for_slot": found["waiting_for_slot"],
        "other": found["delivering"] + found["gathering"],
    }


def _served_by(served: Visits | Calls, server: tuple[int, int]) -> Rows:
    replica, worker = server
    return np.flatnonzero((served.replica == replica) & (served.worker == worker))


def union_ns(spans: Sequence[Spans], window_ns: tuple[int, int]) -> int:
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
