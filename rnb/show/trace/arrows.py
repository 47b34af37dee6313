"""Arrows from what served a request to what served it next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Times
from rnb.show.trace.writer import TraceWriter

Integers = NDArray[np.int64]

_MOST_SEGMENTS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Served:
    """The slices that served requests, or segments of them; a row each, in any order."""

    request: Integers
    segment: Integers
    """0 of a whole request."""
    pid: Integers
    tid: Integers
    time_ns: Times
    """Within the slice."""


def write_arrows(writer: TraceWriter, before: Served, after: Served, *, first_id: int) -> int:
    """An arrow to each slice, from the one before; returns the next free id.

    Arrows lead from a whole request to each of its segments, and from each segment to what joins them.
    """
    start, end = _pair(before, after)
    ids = first_id + np.arange(len(start))
    for write, served, rows in (
        (writer.arrow_starts, before, start),
        (writer.arrow_ends, after, end),
    ):
        write("request", ids=ids, pid=served.pid[rows], tid=served.tid[rows], time_ns=served.time_ns[rows])
    return first_id + len(ids)


def _pair(before: Served, after: Served) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of `before` and `after` that belong together."""
    known, keys = (served.request * _MOST_SEGMENTS + served.segment for served in (before, after))
    order = np.argsort(known)
    rows = _find(known[order], keys)
    rows = np.where(rows >= 0, rows, _find(known[order], keys - after.segment))
    found = np.flatnonzero(rows >= 0)
    return order[rows[found]], found


def _find(ordered: Integers, keys: Integers) -> NDArray[np.intp]:
    """Where each key is; -1: nowhere."""
    if not len(ordered):
        return np.full(len(keys), -1)
    rows = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return np.where(ordered[rows] == keys, rows, -1)
