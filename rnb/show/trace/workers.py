"""What the workers of a step did over time, so that nothing overlaps on a track."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import Calls, Deliveries, Visits, calls_of, deliveries_of, gathering_ns
from rnb.record.run import Times

Integers = NDArray[np.int64]

GATHER, WAIT, CALL, HAND_OFF = "gather", "wait for a slot", "call", "hand-off"
_TRACKS_PER_WORKER = 100
_DELIVERY = 50
"""The first track of a worker that hands on while its next call runs."""


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Times of one kind, each for one call."""

    kind: str
    call: Integers
    track: Integers
    start_ns: Times
    end_ns: Times


@dataclass(frozen=True, kw_only=True)
class StepTimeline:
    """A step's calls, the track of each, and all that its workers did around them."""

    visits: Visits
    calls: Calls
    track: Integers
    stretches: list[Stretches]


def track_name(track: int) -> str:
    worker, place = divmod(track - 1, _TRACKS_PER_WORKER)
    delivery, lane = divmod(place, _DELIVERY)
    return f"worker {worker}" + " delivery" * delivery + (f" ({lane + 1})" if lane else "")


def timeline_of(visits: Visits) -> StepTimeline:
    calls = calls_of(visits)
    deliveries = deliveries_of(visits, calls)
    worker_tracks = 1 + _TRACKS_PER_WORKER * calls.worker
    lanes = _lanes(calls, calls.finish_ns)
    end_ns = calls.finish_ns.copy()
    np.maximum.at(end_ns, deliveries.call, deliveries.end_ns)
    delivery_lanes = _lanes(calls, end_ns)
    if delivery_lanes.any():
        end_ns, delivery_tracks = calls.finish_ns, worker_tracks + _DELIVERY + delivery_lanes
    else:
        delivery_tracks = worker_tracks + lanes
    return StepTimeline(
        visits=visits,
        calls=calls,
        track=worker_tracks + lanes,
        stretches=[
            *_calls(visits, calls, worker_tracks + lanes, _free_since(calls, end_ns)),
            *_deliveries(deliveries, delivery_tracks),
        ],
    )


def _calls(visits: Visits, calls: Calls, track: Integers, free_since_ns: Times) -> list[Stretches]:
    """The calls and what led to them. A request may be taken before its worker is done with the last call."""
    slot_wait_ns = calls.last(visits.slot_wait_ns)
    gather_ns = np.minimum(np.maximum(gathering_ns(visits, calls), free_since_ns), slot_wait_ns)
    rows = np.arange(len(calls))
    return [
        _stretches(GATHER, rows, track, gather_ns, slot_wait_ns),
        _stretches(WAIT, rows, track, slot_wait_ns, calls.start_ns),
        Stretches(kind=CALL, call=rows, track=track, start_ns=calls.start_ns, end_ns=calls.finish_ns),
    ]


def _deliveries(deliveries: Deliveries, track: Integers) -> list[Stretches]:
    of_call = track[deliveries.call]
    return [
        _stretches(WAIT, deliveries.call, of_call, deliveries.start_ns, deliveries.slot_ns),
        _stretches(HAND_OFF, deliveries.call, of_call, deliveries.slot_ns, deliveries.end_ns),
    ]


def _stretches(kind: str, call: Integers, track: Integers, start_ns: Times, end_ns: Times) -> Stretches:
    """Those that took any time."""
    rows = np.flatnonzero(end_ns > start_ns)
    return Stretches(
        kind=kind, call=call[rows], track=track[rows], start_ns=start_ns[rows], end_ns=end_ns[rows]
    )


def _free_since(calls: Calls, end_ns: Times) -> Times:
    """When the worker of each call was done with all before it; 0 for its first one."""
    free_ns = np.zeros(len(calls), dtype=np.int64)
    for rows in _by_worker(calls):
        free_ns[rows[1:]] = np.maximum.accumulate(end_ns[rows])[:-1]
    return free_ns


def _lanes(calls: Calls, end_ns: Times) -> Integers:
    """0 for calls that end before the next of their worker begins; of others, as many lanes as are needed."""
    lanes = np.zeros(len(calls), dtype=np.int64)
    for rows in _by_worker(calls):
        if np.any(end_ns[rows[:-1]] > calls.start_ns[rows[1:]]):
            lanes[rows] = _pack(calls.start_ns[rows].tolist(), end_ns[rows].tolist())
    return lanes


def _by_worker(calls: Calls) -> list[Integers]:
    """The rows of each worker's calls, in order of their start."""
    rows = np.lexsort((calls.start_ns, calls.worker, calls.replica))
    changes = (np.diff(calls.worker[rows]) != 0) | (np.diff(calls.replica[rows]) != 0)
    return np.split(rows, np.flatnonzero(changes) + 1)


def _pack(starts: list[int], ends: list[int]) -> list[int]:
    """The first free lane for each, in order of the starts."""
    lanes, running, free = [], [], []  # type: list[int], list[tuple[int, int]], list[int]
    for start, end in zip(starts, ends, strict=True):
        while running and running[0][0] <= start:
            heapq.heappush(free, heapq.heappop(running)[1])
        lane = heapq.heappop(free) if free else len(running)
        heapq.heappush(running, (end, lane))
        lanes.append(lane)
    return lanes
