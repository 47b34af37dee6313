"""A run as data: the timestamps of its requests, what became of them, and what was measured beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE, Event, EventKind
from rnb.record.meta import RunMeta

Times = NDArray[np.int64]
"""Epoch ns; 0: not reached."""
Flags = NDArray[np.bool_]
Table = dict[str, NDArray[Any]]
"""Columns by name."""

CLASS_NAME = "class_name"
"""The column of the requests that says what their class is called, where classes have names."""
CODEC = "codec"
"""The column of the requests that says how what they came with is encoded, where a step says it."""
SEQUENCE = "sequence"
"""The column of the requests that says to which sequence they belong, where they belong to any."""
_NS_PER_S = 1_000_000_000


@dataclass(kw_only=True)
class Run:
    """A run as it ends, as it is read back, or as it was only simulated."""

    meta: RunMeta
    times: dict[Event, Times]
    """Of each request, in the order in which the events happen."""
    requests: Table
    """REQUEST_COLUMNS, replica<i> and worker<i>, CLASS_NAME where classes have names, and attempts where
    requests might be tried again; of a run in the seed's format only status and is_warmup."""
    tables: dict[str, Table] = field(default_factory=dict)
    """What was measured beside the requests, by the name of its table: telemetry, occupancy, …"""
    results: dict[int, Any] = field(default_factory=dict)
    """By request id, of a last step whose results are no classes."""
    folder: Path | None = None
    """None of a run that was never written."""
    traceback: str = ""
    """Where the process that made it fail did; known only of a run that was just played."""

    @property
    def args(self) -> dict[str, Any]:
        return self.meta.args

    @property
    def config(self) -> Any:
        return self.meta.config

    @property
    def step_names(self) -> Sequence[str]:
        return self.meta.step_names

    @property
    def start_ns(self) -> int:
        return self.meta.began_epoch_ns

    @property
    def end_ns(self) -> int:
        """When the run ended, in epoch ns like its start."""
        return self.meta.end_epoch_ns

    @property
    def events(self) -> list[Event]:
        return list(self.times)

    @property
    def num_steps(self) -> int:
        """How many steps the events tell of."""
        taken = [event.step for event in self.times if event.kind is EventKind.TAKEN]
        return max((step + 1 for step in taken if step is not None), default=0)

    @property
    def num_requests(self) -> int:
        return len(self.requests["status"])

    @property
    def num_warmup(self) -> int:
        return int(np.count_nonzero(self.requests["is_warmup"]))

    @property
    def is_measured(self) -> Flags:
        """Which requests count."""
        measured: Flags = ~self.requests["is_warmup"].astype(bool)
        return measured

    @property
    def finished(self) -> Flags:
        """Which requests count and finished."""
        return self.is_measured & self.ended_as("finished")

    def ended_as(self, *status: str) -> Flags:
        """Which requests, those of the warm-up too, have one of these outcomes."""
        found: Flags = np.logical_or.reduce([self.requests["status"] == one for one in status])
        return found

    def segments(self, event: Event) -> dict[int | None, Times]:
        """The event's times by segment, None: of whole requests; empty where it was not noted."""
        return {found.segment: times for found, times in self.times.items() if found.whole == event}

    def served_by(self, what: str, step: int, segment: int | None = None) -> NDArray[Any] | None:
        """The 'replica' or 'worker' that served each request, or that segment of it; None: not known."""
        whole = f"{what}{step}"
        names = (whole,) if segment is None else (f"{whole}-{segment}", whole)
        return next((self.requests[name] for name in names if name in self.requests), None)

    @property
    def due_ns(self) -> Times:
        """When each request was due; in folders of snuspl/rnb, which do not tell, when it was sent."""
        return self.times[DUE if DUE in self.times else next(iter(self.times))]

    @property
    def ends_ns(self) -> Times:
        """The last timestamp of each request, (num_requests,)."""
        ends = np.zeros(self.num_requests, dtype=np.int64)
        for times in self.times.values():
            np.maximum(ends, times, out=ends)
        return ends

    @property
    def latency_ms(self) -> NDArray[np.float64]:
        """From when each request was due to its end; NaN: it did not finish."""
        latency_ms: NDArray[np.float64] = (self.ends_ns - self.due_ns) / 1e6
        latency_ms[~self.ended_as("finished")] = np.nan
        return latency_ms

    @property
    def window_ns(self) -> tuple[int, int]:
        """The measured phase, in epoch ns.

        It begins when the first measured request is due; where that is the same time for all and some are to
        warm up, when as many requests were done as those. It ends when the last measured request was done, or
        with the run if one was not. That of a run that never started is empty.
        """
        measured, due_ns = self.is_measured, self.due_ns
        if self.meta.start_epoch_ns is None or not measured.any():
            return self.end_ns, self.end_ns
        is_done = self.ended_as("finished", "failed", "dropped")
        start_ns = int(due_ns[measured].min())
        is_at_once = self.num_warmup and start_ns == due_ns[~measured].max()
        if is_at_once and np.count_nonzero(is_done) >= self.num_warmup:
            start_ns = int(np.sort(self.ends_ns[is_done])[self.num_warmup - 1])
        end_ns = int(self.ends_ns[measured].max()) if is_done[measured].all() else self.end_ns
        return start_ns, max(start_ns, end_ns)

    @property
    def seconds(self) -> float:
        """The length of the measured phase."""
        start_ns, end_ns = self.window_ns
        return (end_ns - start_ns) / _NS_PER_S


def class_columns(labels: NDArray[Any], class_names: Sequence[str]) -> Table:
    """What the classes are called, empty for none; no column where they have no names."""
    if not class_names:
        return {}
    names = np.array([*class_names, ""], dtype=object)
    return {CLASS_NAME: names[np.where(labels < len(class_names), labels, -1)]}


def size_columns(outcomes: NDArray[Any]) -> Table:
    """Width and height of the requests' pictures, 0 of none, and their codec; no columns where no step says
    them."""
    found: Table = {}
    if outcomes["width"].any():
        found |= {name: outcomes[name].copy() for name in ("width", "height")}
    if (outcomes["codec"] != b"").any():
        found[CODEC] = np.array([codec.decode(errors="replace") for codec in outcomes["codec"]], dtype=object)
    return found
