"""What happened to each request, in memory that outlives the process that writes it."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.clock import now_ns
from rnb.shared_memory import SharedMemory

UNFINISHED, FINISHED, FAILED, REFUSED = range(4)
STATUS_NAMES = ("unfinished", "finished", "failed", "refused")
REASON_BYTES = 240


class RequestTable:
    """Timestamps and outcomes of all requests: a row a request, written by whichever process has it.

    `times`: int64 (num_requests, len(events)), `now_ns` readings, 0 = not reached.
    `outcomes`: a structured array with status, label (-1 = none), score (NaN = none), num_clips and reason.
    `served_by`: int32 (num_requests, number of runner<i>_start events, 2), the replica of the step and the
    worker of the replica that took it from the queue, -1 = none.
    """

    def __init__(self, *, num_requests: int, events: tuple[str, ...]) -> None:
        self.num_requests, self.events = num_requests, events
        self._takings = {event: column for column, event in enumerate(filter(_TAKING.fullmatch, events))}
        self._times_memory = SharedMemory(num_requests * len(events) * 8)
        self._outcomes_memory = SharedMemory(num_requests * _OUTCOME.itemsize)
        self._served_by_memory = SharedMemory(num_requests * len(self._takings) * 2 * 4)
        self._map()
        self.outcomes["label"] = -1
        self.outcomes["score"] = np.nan
        self.served_by[:] = -1

    def _map(self) -> None:
        self._columns = {name: column for column, name in enumerate(self.events)}
        self.times = self._times_memory.array("int64", (self.num_requests, len(self.events)))
        self.outcomes = self._outcomes_memory.array(_OUTCOME, (self.num_requests,))
        self.served_by = self._served_by_memory.array("int32", (self.num_requests, len(self._takings), 2))

    def __getstate__(self) -> dict[str, Any]:
        kept = ("num_requests", "events", "_takings")
        memories = ("_times_memory", "_outcomes_memory", "_served_by_memory")
        return {key: self.__dict__[key] for key in kept + memories}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def has_event(self, event: str) -> bool:
        return event in self._columns

    def record(self, request_id: int, event: str, time_ns: int | None = None) -> None:
        """Set the time of an event, now unless told."""
        self.times[request_id, self._columns[event]] = now_ns() if time_ns is None else time_ns

    def take(self, request_id: int, event: str, time_ns: int, *, replica: int, worker: int) -> None:
        """Set the time at which a worker took the request from a queue, and who that was."""
        self.record(request_id, event, time_ns)
        self.served_by[request_id, self._takings[event]] = replica, worker

    def served_by_columns(self) -> dict[str, NDArray[np.int32]]:
        """Who took each request: replica<i> and worker<i>, with -<segment> where it came in segments."""
        return {
            event.replace("runner", who).replace("_start", ""): self.served_by[:, column, index]
            for event, column in self._takings.items()
            for index, who in enumerate(("replica", "worker"))
        }

    def column(self, event: str) -> NDArray[np.int64]:
        return self.times[:, self._columns[event]]

    def finish(self, request_id: int, *, label: int, score: float) -> None:
        outcome = self.outcomes[request_id]
        outcome["label"], outcome["score"] = label, score
        outcome["status"] = FINISHED

    def fail(self, request_id: int, reason: str) -> None:
        outcome = self.outcomes[request_id]
        # A reason may name a file, whose name may hold any bytes.
        outcome["reason"] = reason.encode(errors="backslashreplace")[:REASON_BYTES]
        outcome["status"] = FAILED

    def count(self, status: int) -> int:
        return int(np.count_nonzero(self.outcomes["status"] == status))


_TAKING = re.compile(r"runner\d+_start(-\d+)?")
_OUTCOME = np.dtype(
    [
        ("status", "i4"),
        ("label", "i4"),
        ("score", "f4"),
        ("num_clips", "i4"),
        ("reason", f"S{REASON_BYTES}"),
    ]
)
