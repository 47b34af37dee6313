"""A request's way through the pipeline as nested spans: the request, and in it its stages.

Segments of a request overlap, so each has spans of its own, as if it were a request.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import Times
from rnb.analysis.events import arrivals_ns, segments
from rnb.analysis.statistics import stage_name
from rnb.run_folder import Run
from rnb.trace.events import TraceWriter, quoted
from rnb.trace.processes import RUN

REQUEST, WARMUP_REQUEST, SEGMENT, IN_SEGMENTS = "request", "request (warm-up)", "segment", "in segments"
"""Names of spans. Perfetto groups them by name, so the requests of the warm-up stand apart."""
_ROWS_AT_ONCE = 16_384
"""Requests have several texts each, which are made for so many at a time."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """From one event to the next, for each request; 0: not reached."""

    name: str
    segment: str
    """'' of the whole request, else '-0', '-1', …"""
    start_ns: Times
    end_ns: Times

    @property
    def took_place(self) -> NDArray[np.bool_]:
        return (self.start_ns > 0) & (self.end_ns >= self.start_ns)

    def of(self, rows: Rows) -> Stage:
        return replace(self, start_ns=self.start_ns[rows], end_ns=self.end_ns[rows])


def stages_of(run: Run) -> list[Stage]:
    """The stages of all requests, in order for each request and each segment."""
    step_names = run.meta.step_names if run.meta else []
    events = list(dict.fromkeys(re.sub(r"-\d+$", "", event) for event in run.events))
    reached = segments(run, events[0])
    whole_ns = reached[""]
    stages = []
    for before, after in itertools.pairwise(events):
        name = "lateness of the client" if before == "scheduled" else stage_name(before, after, step_names)
        columns = segments(run, after)
        if "" not in columns and "" in reached:
            whole_ns = reached[""]
            reached = dict.fromkeys(columns, whole_ns)
        ends = {segment: columns.get(segment, columns.get("", whole_ns)) for segment in reached}
        stages += [
            Stage(name=name, segment=segment, start_ns=reached[segment], end_ns=ends[segment])
            for segment in reached
        ]
        if "" in columns and "" not in reached:
            stages.append(Stage(name=IN_SEGMENTS, segment="", start_ns=whole_ns, end_ns=columns[""]))
        reached = columns
    return stages


def write_requests(writer: TraceWriter, run: Run, rows: Rows) -> None:
    """The spans of these requests."""
    stages, is_warmup = stages_of(run), run.requests["is_warmup"].astype(bool)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[first : first + _ROWS_AT_ONCE]
        _write_whole(writer, run, some[is_warmup[some]], stages, WARMUP_REQUEST)
        _write_whole(writer, run, some[~is_warmup[some]], stages, REQUEST)


def _write_whole(writer: TraceWriter, run: Run, rows: Rows, stages: list[Stage], title: str) -> None:
    requests = run.requests
    ids = [quoted(str(id)) for id in requests["request_id"][rows].tolist()]
    about: dict[str, Any] = {"request": requests["request_id"][rows]}
    about |= {name: requests[name][rows] for name in ("num_clips", "label")}
    about |= {name: list(map(quoted, requests[name][rows])) for name in ("video", "status", "reason")}
    writer.span_starts(title, pid=RUN, ids=ids, time_ns=arrivals_ns(run)[rows], **about)
    _write_stages(writer, [stage.of(rows) for stage in stages if not stage.segment], ids)
    writer.span_ends(title, pid=RUN, ids=ids, time_ns=run.ends_ns[rows])
    for segment in dict.fromkeys(stage.segment for stage in stages if stage.segment):
        _write_segment(writer, run, rows, [stage for stage in stages if stage.segment == segment])


def _write_segment(writer: TraceWriter, run: Run, rows: Rows, stages: list[Stage]) -> None:
    rows = rows[stages[0].took_place[rows]]
    parts = [stage.of(rows) for stage in stages]
    request, segment = run.requests["request_id"][rows], parts[0].segment
    ids = [quoted(f"{id}{segment}") for id in request.tolist()]
    end_ns = np.max([part.end_ns for part in parts], axis=0)
    about = {"request": request, "segment": int(segment[1:])}
    writer.span_starts(SEGMENT, pid=RUN, ids=ids, time_ns=parts[0].start_ns, **about)
    _write_stages(writer, parts, ids)
    writer.span_ends(SEGMENT, pid=RUN, ids=ids, time_ns=end_ns)


def _write_stages(writer: TraceWriter, stages: list[Stage], ids: list[str]) -> None:
    for stage in stages:
        rows = np.flatnonzero(stage.took_place)
        of_rows = [ids[row] for row in rows.tolist()]
        writer.span_starts(stage.name, pid=RUN, ids=of_rows, time_ns=stage.start_ns[rows])
        writer.span_ends(stage.name, pid=RUN, ids=of_rows, time_ns=stage.end_ns[rows])
