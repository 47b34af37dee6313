"""A request's way through the pipeline as nested spans: the request, and in it its stages.

Segments of a request overlap, so each has spans of its own, as if it were a request.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import Stage
from rnb.record.run import CLASS_NAME, Flags, Run, Times
from rnb.show.trace.processes import RUN
from rnb.show.trace.writer import TraceWriter, quoted

REQUEST, WARMUP_REQUEST, SEGMENT, IN_SEGMENTS = "request", "request (warm-up)", "segment", "in segments"
"""Names of spans. Perfetto groups them by name, so the requests of the warm-up stand apart."""
_ROWS_AT_ONCE = 16_384
"""Requests have several texts each, which are made for so many at a time."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Spans:
    """From one event to the next, for each request; 0: not reached."""

    title: str
    segment: int | None
    """None: of the whole request."""
    start_ns: Times
    end_ns: Times

    @property
    def took_place(self) -> Flags:
        return (self.start_ns > 0) & (self.end_ns >= self.start_ns)

    def of(self, rows: Rows) -> Spans:
        return replace(self, start_ns=self.start_ns[rows], end_ns=self.end_ns[rows])


def spans_of(run: Run) -> list[Spans]:
    """The stages of all requests, in order for each request and each segment."""
    events = list(dict.fromkeys(event.whole for event in run.events))
    reached = run.segments(events[0])
    whole_ns = reached[None]
    spans = []
    for before, after in itertools.pairwise(events):
        title = Stage.between(before, after).title(run.step_names)
        columns = run.segments(after)
        if None not in columns and None in reached:
            whole_ns = reached[None]
            reached = dict.fromkeys(columns, whole_ns)
        ends = {segment: columns.get(segment, columns.get(None, whole_ns)) for segment in reached}
        spans += [
            Spans(title=title, segment=segment, start_ns=reached[segment], end_ns=ends[segment])
            for segment in reached
        ]
        if None in columns and None not in reached:
            spans.append(Spans(title=IN_SEGMENTS, segment=None, start_ns=whole_ns, end_ns=columns[None]))
        reached = columns
    return spans


def write_requests(writer: TraceWriter, run: Run, rows: Rows) -> None:
    """The spans of these requests."""
    spans, is_warmup = spans_of(run), run.requests["is_warmup"].astype(bool)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[first : first + _ROWS_AT_ONCE]
        _write_whole(writer, run, some[is_warmup[some]], spans, WARMUP_REQUEST)
        _write_whole(writer, run, some[~is_warmup[some]], spans, REQUEST)


def _write_whole(writer: TraceWriter, run: Run, rows: Rows, spans: list[Spans], title: str) -> None:
    requests = run.requests
    ids = [quoted(str(id)) for id in requests["request_id"][rows].tolist()]
    about: dict[str, Any] = {"request": requests["request_id"][rows]}
    about |= {name: requests[name][rows] for name in ("num_clips", "label")}
    texts = [name for name in ("video", "status", "reason", CLASS_NAME) if name in requests]
    about |= {name: list(map(quoted, requests[name][rows])) for name in texts}
    writer.span_starts(title, pid=RUN, ids=ids, time_ns=run.due_ns[rows], **about)
    _write_stages(writer, [part.of(rows) for part in spans if part.segment is None], ids)
    writer.span_ends(title, pid=RUN, ids=ids, time_ns=run.ends_ns[rows])
    for segment in dict.fromkeys(part.segment for part in spans if part.segment is not None):
        of_segment = [part for part in spans if part.segment == segment]
        _write_segment(writer, run, rows, segment, of_segment)


def _write_segment(writer: TraceWriter, run: Run, rows: Rows, segment: int, spans: list[Spans]) -> None:
    rows = rows[spans[0].took_place[rows]]
    parts = [part.of(rows) for part in spans]
    request = run.requests["request_id"][rows]
    ids = [quoted(f"{id}-{segment}") for id in request.tolist()]
    end_ns = np.max([part.end_ns for part in parts], axis=0)
    about = {"request": request, "segment": segment}
    writer.span_starts(SEGMENT, pid=RUN, ids=ids, time_ns=parts[0].start_ns, **about)
    _write_stages(writer, parts, ids)
    writer.span_ends(SEGMENT, pid=RUN, ids=ids, time_ns=end_ns)


def _write_stages(writer: TraceWriter, spans: list[Spans], ids: list[str]) -> None:
    for part in spans:
        rows = np.flatnonzero(part.took_place)
        of_rows = [ids[row] for row in rows.tolist()]
        writer.span_starts(part.title, pid=RUN, ids=of_rows, time_ns=part.start_ns[rows])
        writer.span_ends(part.title, pid=RUN, ids=of_rows, time_ns=part.end_ns[rows])
