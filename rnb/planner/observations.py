"""What the timestamps of a run say of how long things take: its calls, and the harness around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import Calls, Visits, calls_of, visits_of
from rnb.analysis.utilization import worker_utilizations
from rnb.contract.events import SENT, Event, EventKind
from rnb.contract.request import split_rows
from rnb.pipeline.step_type import resolve
from rnb.planner.key import Pictures
from rnb.processes.replicas import polling_s
from rnb.record.run import CODEC, Run
from rnb.record.tables import MEMORY, TELEMETRY
from rnb.simulation.shared_resource import shared_by

Numbers = NDArray[np.int64]
NO_PICTURES = Pictures()
POLLING_CORES = 0.5
"""What a worker takes that looks for messages often; see docs/architecture.md."""
TELLING_SECONDS, TELLING_SHARE = 1.0, 0.2
"""What a call takes of the cores is told by runs that are not shorter; where workers look for messages often,
by those that are in a call for so much of the time."""
CORES = "cpu.percent"
"""Of the telemetry."""
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
    workers: int = 1
    """Of the replica, of a call."""
    busy: float = 1.0
    """Calls on the same device while it ran, with itself, on average, to a quarter of one."""
    pictures: Pictures = NO_PICTURES
    """Of the request, of a call of the step that opens it."""
    crowd: float = 0.0
    """What share of the machine's cores was in use while it ran, to a fifth, of a call; 0: not told."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Of one run."""

    durations: list[Observation]
    rows: Numbers
    """Of each request, as the first step made them; 1 where it makes none."""
    pictures: list[Pictures]
    """Of each request."""
    lateness_ns: int
    """Of the client, the median."""
    demand: dict[tuple[int, bool], float]
    """By step and whether it is on a GPU: how many cores a call takes while it runs; none where that is not
    told."""
    peaks: dict[tuple[int, bool, int], int]
    """By step, whether it is on a GPU, and rows in the call: bytes held or peaked at, with --memory."""


def observe(run: Run) -> Observations:
    """Look at the requests that finished."""
    places = {(one["step"], one["replica"]): _place(run, one) for one in run.meta.replicas}
    is_gpu = {replica: place.is_gpu for replica, place in places.items()}
    rows = np.maximum(np.asarray(run.requests["num_clips"], dtype=np.int64), 1)
    pictures = _pictures(run)
    served = [_served(run, step, places) for step in range(run.num_steps)]
    busy = _busy(served)
    opening = opening_step(one["model"] for one in _steps(run))
    durations = []
    for step, (visits, calls, place_of) in enumerate(served):
        rows_of = _rows_of(run, visits, rows)
        of_visit = [
            pictures[request] if step == opening else NO_PICTURES for request in visits.request.tolist()
        ]
        durations += _calls(calls, rows_of, place_of, busy[step], _crowd(run, calls), of_visit)
        on_gpu = np.array([is_gpu[step, replica] for replica in visits.replica.tolist()], dtype=bool)
        for kind, (values, of_cost) in _costs(run, visits, calls).items():
            for gpu in sorted(set(on_gpu[of_cost].tolist())):
                durations.append(Observation(step, gpu, kind, 0, values[on_gpu[of_cost] == gpu]))
    lateness = (run.times[SENT] - run.due_ns)[run.times[SENT] > 0]
    return Observations(
        durations=durations,
        rows=rows[run.ended_as("finished")],
        pictures=[pictures[request] for request in np.flatnonzero(run.ended_as("finished")).tolist()],
        lateness_ns=int(np.median(lateness)) if len(lateness) and run.args.get("mean_interval_ms") else 0,
        demand=_demand(run, is_gpu),
        peaks=_peaks(run, is_gpu),
    )


def opening_step(models: Iterable[str]) -> int:
    """Of the steps with these classes, which one opens what the requests are about."""
    return next((step for step, model in enumerate(models) if not resolve(model).cls.passes_on), 0)


class _Place(NamedTuple):
    """Of a replica."""

    shared: str
    """What its calls share with others."""
    is_gpu: bool
    workers: int


class _Served(NamedTuple):
    """What a step did: its visits, its calls, and where each call was."""

    visits: Visits
    calls: Calls
    places: list[_Place]


def _place(run: Run, replica: Mapping[str, Any]) -> _Place:
    device, step_type = replica.get("device", "cpu"), resolve(_steps(run)[replica["step"]]["model"])
    shared = shared_by(device, decodes=step_type.decodes)
    return _Place(shared, device != "cpu", replica.get("workers", 1))


def _steps(run: Run) -> Sequence[Any]:
    """The steps of its config."""
    steps: Sequence[Any] = run.config if isinstance(run.config, list) else run.config.get("pipeline", [])
    return steps


def _served(run: Run, step: int, places: Mapping[tuple[int, int], _Place]) -> _Served:
    visits = visits_of(run, step)
    calls = calls_of(visits)
    return _Served(visits, calls, [places[step, replica] for replica in calls.replica.tolist()])


def _pictures(run: Run) -> list[Pictures]:
    """Of each request."""
    nothing = np.zeros(run.num_requests, dtype=np.int64)
    width, height = (np.asarray(run.requests.get(name, nothing), np.int64) for name in ("width", "height"))
    codecs = run.requests.get(CODEC, np.full(run.num_requests, "", dtype=object))
    return [Pictures(*one) for one in zip((width * height).tolist(), codecs.tolist(), strict=True)]


def _busy(served: Sequence[_Served]) -> list[NDArray[np.float64]]:
    """Of the calls of each step, how many were running meanwhile on what they share, on average."""
    shared = {place.shared for one in served for place in one.places}
    found = [np.ones(len(one.calls)) for one in served]
    for name in shared:
        here = [np.array([place.shared == name for place in one.places], dtype=bool) for one in served]
        spans = [
            (one.calls.start_ns[is_here], one.calls.finish_ns[is_here])
            for one, is_here in zip(served, here, strict=True)
            if len(is_here)
        ]
        times_ns, running = _running(*(np.concatenate(ends) for ends in zip(*spans, strict=True)))
        for one, is_here, mean in zip(served, here, found, strict=True):
            if len(is_here):
                start_ns, finish_ns = one.calls.start_ns[is_here], one.calls.finish_ns[is_here]
                work = np.interp(finish_ns, times_ns, running) - np.interp(start_ns, times_ns, running)
                mean[is_here] = np.maximum(4, np.rint(4 * work / np.maximum(1, finish_ns - start_ns))) / 4
    return found


def _crowd(run: Run, calls: Calls) -> NDArray[np.float64]:
    """Of each call, what share of the cores was in use in the middle of it, by the telemetry."""
    table: Any = run.tables.get(TELEMETRY, {})
    shares = np.asarray(table.get(CORES, []), dtype=np.float64) / 100
    told = np.isfinite(shares)
    if not told.any():
        return np.zeros(len(calls))
    middle_ns = (calls.start_ns + calls.finish_ns) // 2
    of_calls: NDArray[np.float64] = np.interp(middle_ns, table["time_ns"][told], shares[told])
    return np.rint(5 * of_calls) / 5


def _running(start_ns: Numbers, finish_ns: Numbers) -> tuple[Numbers, NDArray[np.float64]]:
    """The integral over time of how many calls are running, at the times where it bends."""
    times_ns = np.concatenate([start_ns, finish_ns])
    steps = np.repeat([1, -1], len(start_ns))
    order = np.argsort(times_ns, kind="stable")
    times_ns, count = times_ns[order], np.cumsum(steps[order])
    integral = np.concatenate([[0.0], np.cumsum(count[:-1] * np.diff(times_ns).astype(float))])
    return times_ns, integral


def _peaks(run: Run, is_gpu: Mapping[tuple[int, int], bool]) -> dict[tuple[int, bool, int], int]:
    table = run.tables.get(MEMORY)
    found: dict[tuple[int, bool, int], int] = {}
    if table is None:
        return found
    most = np.maximum(table["held_bytes"], table["peak_bytes"]).tolist()
    for replica, rows, peak in zip(table["replica"].tolist(), table["num_rows"].tolist(), most, strict=True):
        step, number = (int(part) for part in str(replica).removeprefix("step ").split("."))
        key = step, is_gpu[step, number], int(rows)
        found[key] = max(found.get(key, 0), int(peak))
    return found


def _rows_of(run: Run, visits: Visits, rows: Numbers) -> Numbers:
    """The rows of each visit: of the whole request, or of its segment."""
    num_segments = len(run.segments(Event(EventKind.TAKEN, visits.step)))
    if num_segments <= 1:
        return rows[visits.request]
    shares = {count: split_rows([count], num_segments)[0] for count in set(rows.tolist())}
    pairs = zip(rows[visits.request].tolist(), visits.segment.tolist(), strict=True)
    return np.array([shares[count][segment] for count, segment in pairs], dtype=np.int64)


def _calls(
    calls: Calls,
    rows: Numbers,
    places: Sequence[_Place],
    busy: NDArray[np.float64],
    crowd: NDArray[np.float64],
    pictures: Sequence[Pictures],
) -> list[Observation]:
    """By device, rows, workers, neighbours, use of the cores and, where each call is of one request, its
    pictures."""
    if not len(calls):
        return []
    took_ns = calls.finish_ns - calls.start_ns
    of_call = np.add.reduceat(rows[calls.members], calls.offsets[:-1])
    first, is_of_one = calls.members[calls.offsets[:-1]].tolist(), (np.diff(calls.offsets) == 1).tolist()
    pictures_of = [pictures[at] if alone else NO_PICTURES for at, alone in zip(first, is_of_one, strict=True)]
    on_gpu = [place.is_gpu for place in places]
    workers = [place.workers for place in places]
    kinds: dict[tuple[bool, int, int, float, Pictures, float], list[int]] = {}
    for number, kind in enumerate(
        zip(on_gpu, of_call.tolist(), workers, busy.tolist(), pictures_of, crowd.tolist(), strict=True)
    ):
        kinds.setdefault(kind, []).append(number)
    return [
        Observation(calls.step, gpu, "call", count, took_ns[numbers], num_workers, others, what, cores)
        for (gpu, count, num_workers, others, what, cores), numbers in sorted(kinds.items())
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
    config = _steps(run)
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
    """Cores in use by a replica's process, without those that look for messages, over how many of its workers
    were in a call on average."""
    telemetry: Any = run.tables.get(TELEMETRY, {})
    polls, found = _polls(run), dict[tuple[int, bool], list[float]]()
    busy: dict[tuple[int, int], list[float]] = {}
    for one in worker_utilizations(run) if run.seconds >= TELLING_SECONDS else ():
        busy.setdefault((one.step, one.replica), []).append(one.busy)
    for (step, replica), shares in busy.items():
        used = telemetry.get(f"process.step {step}.{replica}.cpu_percent")
        enough = TELLING_SHARE if polls else 0.01
        if used is not None and np.mean(shares) > enough and np.isfinite(used).any():
            looking = POLLING_CORES * (len(shares) - sum(shares)) if polls else 0.0
            cores = max(0.0, float(np.nanmean(used)) / 100 - looking)
            found.setdefault((step, is_gpu[step, replica]), []).append(cores / sum(shares))
    return {key: float(np.mean(values)) for key, values in found.items()}


def _polls(run: Run) -> bool:
    """Whether its workers looked for messages often."""
    num_workers = sum(one.get("workers", 1) for one in run.meta.replicas)
    num_cpus = run.meta.provenance.get("num_cpus") or 0
    return polling_s(num_workers, num_clients=run.args.get("clients") or 1, num_cpus=num_cpus) > 0
