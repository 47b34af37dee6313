"""What the timestamps of a run say of how long things take: its calls, and the harness around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import Calls, Visits, calls_of, visits_of
from rnb.analysis.utilization import worker_utilizations
from rnb.contract.events import SENT, Event, EventKind
from rnb.contract.request import split_rows
from rnb.pipeline.step_type import resolve
from rnb.record.run import Run
from rnb.record.tables import TELEMETRY

Numbers = NDArray[np.int64]
COSTS = ("wake", "prepare", "hand_on", "rest")
"""Of rnb.simulation.service_times.Costs."""


class Observation(NamedTuple):
    """One kind of duration of a step; `values_ns` has all that was seen."""

    step: int
    is_gpu: bool
    kind: str
    """'call', or one of COSTS."""
    rows: int
    """Of a call; 0 of another kind."""
    values_ns: Numbers


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Of one run."""

    durations: list[Observation]
    rows: Numbers
    """Of each request, as the first step made them; 1 where it makes none."""
    lateness_ns: int
    """Of the client, the median."""
    demand: dict[tuple[int, bool], float]
    """By step and whether it is on a GPU: how many cores a call takes while it runs; none where the run was
    without telemetry."""


def observe(run: Run) -> Observations:
    """Look at the requests that finished."""
    is_gpu = {(one["step"], one["replica"]): one.get("device", "cpu") != "cpu" for one in run.meta.replicas}
    rows = np.maximum(np.asarray(run.requests["num_clips"], dtype=np.int64), 1)
    durations = []
    for step in range(run.num_steps):
        visits = visits_of(run, step)
        calls = calls_of(visits)
        on_gpu = np.array([is_gpu[step, replica] for replica in visits.replica.tolist()], dtype=bool)
        durations += _calls(visits, calls, _rows_of(run, visits, rows), on_gpu)
        for kind, (values, of_visit) in _costs(run, visits, calls).items():
            for gpu in sorted(set(on_gpu[of_visit].tolist())):
                durations.append(Observation(step, gpu, kind, 0, values[on_gpu[of_visit] == gpu]))
    lateness = (run.times[SENT] - run.due_ns)[run.times[SENT] > 0]
    return Observations(
        durations=durations,
        rows=rows[run.ended_as("finished")],
        lateness_ns=int(np.median(lateness)) if len(lateness) and run.args.get("mean_interval_ms") else 0,
        demand=_demand(run, is_gpu),
    )


def _rows_of(run: Run, visits: Visits, rows: Numbers) -> Numbers:
    """The rows of each visit: of the whole request, or of its segment."""
    num_segments = len(run.segments(Event(EventKind.TAKEN, visits.step)))
    if num_segments <= 1:
        return rows[visits.request]
    shares = {count: split_rows([count], num_segments)[0] for count in set(rows.tolist())}
    pairs = zip(rows[visits.request].tolist(), visits.segment.tolist(), strict=True)
    return np.array([shares[count][segment] for count, segment in pairs], dtype=np.int64)


def _calls(visits: Visits, calls: Calls, rows: Numbers, on_gpu: NDArray[np.bool_]) -> list[Observation]:
    if not len(calls):
        return []
    took_ns = calls.finish_ns - calls.start_ns
    of_call = np.add.reduceat(rows[calls.members], calls.offsets[:-1])
    gpu_of_call = on_gpu[calls.members[calls.offsets[:-1]]]
    return [
        Observation(
            visits.step, bool(gpu), "call", int(count), took_ns[(of_call == count) & (gpu_of_call == gpu)]
        )
        for gpu in np.unique(gpu_of_call)
        for count in np.unique(of_call[gpu_of_call == gpu])
    ]


def _costs(run: Run, visits: Visits, calls: Calls) -> dict[str, tuple[Numbers, Numbers]]:
    """The values of each cost, and of which visits they are; none of a step that joins segments, of which
    only the last call has an end."""
    arriving, leaving = (len(run.segments(Event(EventKind.TAKEN, visits.step + more))) for more in (0, 1))
    if arriving > 1 and None in run.segments(Event(EventKind.FINISHED, visits.step)):
        return {}
    server = visits.replica * (1 + visits.worker.max(initial=0)) + visits.worker
    is_whole = (visits.finish_ns > 0) & (visits.start_ns > 0)
    left_ns = np.maximum(visits.finish_ns, visits.handoff_ns)
    # In each worker's order: what came while it was idle, and what waited for it.
    order = np.lexsort((visits.taken_ns, server))
    free_ns = np.zeros(len(order), dtype=np.int64)
    for one in np.unique(server):
        own = order[server[order] == one]
        free_ns[own[1:]] = np.maximum.accumulate(left_ns[own])[:-1]
    first = np.zeros(len(order), dtype=bool)
    first[calls.members[calls.offsets[:-1]]] = True
    is_alone = np.zeros(len(order), dtype=bool)
    sizes = np.diff(calls.offsets)
    is_alone[calls.members[calls.offsets[:-1]][sizes == 1]] = True
    # Of the segments of a request only the first one's put is noted; the others may have waited for slots.
    is_put = (visits.segment == 0) | (None not in run.segments(Event(EventKind.HANDED_ON, visits.step - 1)))
    was_idle = is_whole & is_put & (visits.put_ns > free_ns) & (visits.taken_ns >= visits.put_ns)
    waited = is_whole & is_put & is_alone & (visits.put_ns <= free_ns) & (free_ns > 0)
    found = {
        "wake": (visits.taken_ns - visits.put_ns, was_idle),
    }
    if leaving <= max(1, arriving):  # else it went on to wait for the slots of the other segments
        found["rest"] = (np.maximum(visits.taken_ns - free_ns, 0), waited)
    if (is_last := _taken_last(run, visits, calls)) is not None:
        found["prepare"] = (visits.slot_wait_ns - visits.taken_ns, is_whole & is_last)
    if visits.step < run.num_steps - 1:
        found["hand_on"] = (visits.handoff_ns - visits.slot_ns, is_whole & first & (visits.handoff_ns > 0))
    return {
        kind: (values[rows], np.flatnonzero(rows)) for kind, (values, rows) in found.items() if rows.any()
    }


def _taken_last(run: Run, visits: Visits, calls: Calls) -> NDArray[np.bool_] | None:
    """Of each call that began when its last request had come, as it was full, the visit of that request.

    None where nothing says so: clips are gathered, or turns are waited for.
    """
    replicas = [one for one in run.meta.replicas if one["step"] == visits.step]
    config = run.config if isinstance(run.config, list) else run.config.get("pipeline", [])
    takes_turns = any(one.get("device", "cpu") != "cpu" and one.get("workers", 1) > 1 for one in replicas)
    if "max_clips" in config[visits.step] or takes_turns or not len(calls):
        return None
    batches = resolve(config[visits.step]["model"]).batches_requests
    size = (run.args.get("batch_size") or 1) if batches else 1
    taken_ns = visits.taken_ns[calls.members]
    is_last = np.zeros(len(visits.taken_ns), dtype=bool)
    last_ns = np.maximum.reduceat(taken_ns, calls.offsets[:-1])
    is_full = (np.diff(calls.offsets) >= size) if batches else (np.diff(calls.offsets) == 1)
    is_last[calls.members] = (taken_ns == last_ns[calls.of_member]) & is_full[calls.of_member]
    return is_last


def _demand(run: Run, is_gpu: dict[tuple[int, int], bool]) -> dict[tuple[int, bool], float]:
    """Cores in use by a replica's process, over how many of its workers were in a call on average."""
    telemetry: Any = run.tables.get(TELEMETRY, {})
    busy: dict[tuple[int, int], float] = {}
    for one in worker_utilizations(run):
        busy[one.step, one.replica] = busy.get((one.step, one.replica), 0.0) + one.busy
    found: dict[tuple[int, bool], list[float]] = {}
    for (step, replica), share in busy.items():
        used = telemetry.get(f"process.step {step}.{replica}.cpu_percent")
        if used is not None and share > 0.01 and np.isfinite(used).any():
            found.setdefault((step, is_gpu[step, replica]), []).append(float(np.nanmean(used)) / 100 / share)
    return {key: float(np.mean(values)) for key, values in found.items()}
