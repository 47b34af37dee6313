"""A run as a trace for https://ui.perfetto.dev: who did what, when, and for which request.

    run                      the phases; how many requests wait; a span for each request, its stages nested
    client                   an instant for each request that was sent
    step 0.0 Loader, GPU 0   a track per worker: its calls, and what it did between them
    …
    CPU, GPU 0, …            telemetry, and the counters of --occupancy

Of several nodes the processes of each stand together, and their names begin with the node.

Arrows lead from each sending, and from each call, to the call of the next step.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import visits_of
from rnb.contract.events import SENT, Stage, StageKind
from rnb.record.run import Flags, Run
from rnb.show.trace import MOST_REQUESTS
from rnb.show.trace.arrows import Served, write_arrows
from rnb.show.trace.counters import write_measured, write_waiting
from rnb.show.trace.kernels import write_kernels
from rnb.show.trace.processes import CLIENT, RUN, Processes
from rnb.show.trace.requests import write_requests
from rnb.show.trace.workers import CALL, StepTimeline, timeline_of, track_name
from rnb.show.trace.writer import TraceWriter, quoted

FILE_NAME = "trace.json.gz"

_ONLY_TRACK = 1

Integers = NDArray[np.int64]


def write(run: Run, path: Path, *, most_requests: int = MOST_REQUESTS) -> str:
    """Write the trace of a run of RnB's own; returns in a line what it shows. Raises OSError."""
    started_s = time.monotonic()
    shown = _choose(run, most_requests)
    coverage = _coverage(shown, most_requests)
    unfinished = path.with_name(path.name + ".partial")
    about = {"shows": coverage, "start_epoch_ns": str(run.start_ns)}
    try:
        with TraceWriter(unfinished, start_ns=run.start_ns, other_data=about) as writer:
            _Trace(run, writer, shown).write(coverage)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    size_mb, seconds = path.stat().st_size / 1e6, time.monotonic() - started_s
    return f"{path.name}: {coverage}; {size_mb:.1f} MB in {seconds:.1f} s, for https://ui.perfetto.dev"


def _choose(run: Run, most_requests: int) -> Flags:
    """The requests that the trace shows: all, or the first ones and the slowest of the others."""
    num_requests = run.num_requests
    num_first = num_requests if num_requests <= most_requests else most_requests // 2
    shown = np.arange(num_requests) < num_first
    latencies_ns = (run.ends_ns - run.due_ns)[num_first:]
    slowest = np.argsort(-latencies_ns, kind="stable")[: most_requests - num_first]
    shown[num_first + slowest] = True
    return shown


def _coverage(shown: Flags, most_requests: int) -> str:
    if shown.all():
        return f"all {len(shown)} requests"
    num_first = most_requests // 2
    return (
        f"{most_requests} of {len(shown)} requests, the first {num_first} and the"
        f" {most_requests - num_first} slowest of the others, and the calls that served them"
    )


class _Trace:
    """A trace while it is written."""

    def __init__(self, run: Run, writer: TraceWriter, shown: Flags) -> None:
        self._run, self._writer, self._shown = run, writer, shown
        self._processes = Processes(run, writer)
        self._tracks: set[tuple[int, int]] = set()

    def write(self, coverage: str) -> None:
        self._write_phases(coverage)
        self._write_steps(self._write_sendings())
        write_requests(self._writer, self._run, np.flatnonzero(self._shown))
        write_kernels(self._writer, self._run, self._processes)
        write_measured(self._writer, self._run, self._processes)

    def _write_phases(self, coverage: str) -> None:
        start_ns, end_ns = self._run.window_ns
        self._writer.name_thread(RUN, _ONLY_TRACK, "phases")
        phases = {"warm-up": (self._run.start_ns, start_ns), "measured": (start_ns, end_ns)}
        for name, (first_ns, last_ns) in phases.items():
            if last_ns > first_ns:
                times = {"start_ns": [first_ns], "end_ns": [last_ns]}
                self._writer.slices(name, pid=RUN, tid=_ONLY_TRACK, **times, trace_shows=quoted(coverage))

    def _write_sendings(self) -> Served:
        self._writer.name_thread(CLIENT, _ONLY_TRACK, "sending")
        sent_ns = self._run.times[SENT]
        rows = np.flatnonzero(self._shown & (sent_ns > 0))
        place: dict[str, Any] = {
            "pid": np.full(len(rows), CLIENT),
            "tid": np.full(len(rows), _ONLY_TRACK),
            "time_ns": sent_ns[rows],
        }
        self._writer.instants("send", **place, request=self._run.requests["request_id"][rows])
        return Served(request=rows, segment=np.zeros_like(rows), **place)

    def _write_steps(self, sendings: Served) -> None:
        before, num_arrows = sendings, 0
        for step in range(self._run.num_steps):
            timeline = timeline_of(visits_of(self._run, step))
            write_waiting(self._writer, timeline.visits)
            pid = self._processes.of_replicas(step)[timeline.calls.replica]
            self._write_workers(timeline, pid)
            after = self._served_by(timeline, pid)
            num_arrows = write_arrows(self._writer, before, after, first_id=num_arrows)
            before = after

    def _write_workers(self, timeline: StepTimeline, pid: Integers) -> None:
        """What the workers of a step did for the shown requests."""
        is_shown = timeline.calls.last(self._shown[timeline.visits.request])
        for stretches in timeline.stretches:
            rows = np.flatnonzero(is_shown[stretches.call])
            call, tid = stretches.call[rows], stretches.track[rows]
            self._name_tracks(pid[call], tid)
            times = {"start_ns": stretches.start_ns[rows], "end_ns": stretches.end_ns[rows]}
            is_call = stretches.kind == CALL
            call_title = Stage(StageKind.CALL, timeline.visits.step).title(self._run.step_names)
            title = call_title if is_call else stretches.kind
            about = self._about(timeline, call) if is_call else {}
            self._writer.slices(title, pid=pid[call], tid=tid, **times, **about)

    def _name_tracks(self, pid: Integers, tid: Integers) -> None:
        for track in set(zip(pid.tolist(), tid.tolist(), strict=True)) - self._tracks:
            self._tracks.add(track)
            self._writer.name_thread(*track, track_name(track[1]))

    def _about(self, timeline: StepTimeline, call: Integers) -> dict[str, Any]:
        is_warmup = self._run.requests["is_warmup"].astype(bool)[timeline.visits.request]
        return {
            "requests": _RequestLists(self._run.requests["request_id"], timeline, call),
            "warm_up": timeline.calls.last(is_warmup)[call].astype(np.int64),
        }

    def _served_by(self, timeline: StepTimeline, pid: Integers) -> Served:
        visits, calls = timeline.visits, timeline.calls
        rows = np.flatnonzero(self._shown[visits.request[calls.members]])
        call, visit = calls.of_member[rows], calls.members[rows]
        return Served(
            request=visits.request[visit],
            segment=visits.segment[visit],
            pid=pid[call],
            tid=timeline.track[call],
            time_ns=calls.start_ns[call],
        )


class _RequestLists:
    """The requests of calls, as texts that are made when they are asked for."""

    def __init__(self, ids: Integers, timeline: StepTimeline, call: Integers) -> None:
        self._calls, self._call = timeline.calls, call
        self._ids = ids[timeline.visits.request]

    def __len__(self) -> int:
        return len(self._call)

    def __getitem__(self, rows: slice) -> list[str]:
        return [self._text(call) for call in self._call[rows].tolist()]

    def _text(self, call: int) -> str:
        first, last = self._calls.offsets[call], self._calls.offsets[call + 1]
        ids = dict.fromkeys(self._ids[self._calls.members[first:last]].tolist())
        return quoted(" ".join(map(str, ids)))
