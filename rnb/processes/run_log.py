"""Who did what and when to a run whose replicas come and go: the table `events`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnb.transport.fabric import NOBODY, Clock


class Entry(NamedTuple):
    """A row."""

    at_ns: int
    event: str
    """Of a process: started, died, recycled, replaced by; of a node: left out; of a request: tried again,
    gave up."""
    replica: str
    """Or bridge, or node: whose process."""
    pid: int
    """0 of what is about a request."""
    request_id: int
    """NOBODY of what is about a process."""
    attempt: int
    """Which try of the request came to nothing; 0 of what is about a process."""
    reason: str


class RunLog:
    """Kept by the driver; other nodes tell it what they note."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[Entry] = []

    def note(
        self,
        event: str,
        replica: str,
        pid: int | None = None,
        *,
        request_id: int = NOBODY,
        attempt: int = 0,
        reason: str = "",
    ) -> None:
        now_ns = self._clock.now_ns()
        self._entries.append(Entry(now_ns, event, replica, pid or 0, request_id, attempt, reason))

    def add(self, entry: Entry) -> None:
        """What another node has noted, by the clock here."""
        self._entries.append(entry)

    def take(self) -> list[Entry]:
        """All that was noted since this was called last: somebody else keeps it."""
        taken, self._entries = self._entries, []
        return taken

    def count(self, event: str) -> int:
        return sum(entry.event == event for entry in self._entries)

    def columns(self) -> dict[str, NDArray[Any]]:
        """In the order of time, which is of the epoch here."""
        offset_ns = self._clock.epoch_offset_ns()
        entries = sorted(self._entries, key=lambda entry: entry.at_ns)
        columns = zip(*entries, strict=True) if entries else ([] for _ in Entry._fields)
        shown = dict(zip(Entry._fields, map(list, columns), strict=True))
        texts = {name: np.array(shown[name], dtype=object) for name in ("event", "replica", "reason")}
        numbers = {name: np.array(shown[name], dtype=np.int64) for name in shown if name not in texts}
        numbers["at_ns"] += offset_ns
        return {name: {**texts, **numbers}[name] for name in Entry._fields}
