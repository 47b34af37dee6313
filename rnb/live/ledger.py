"""What became of some requests, in columns: statistics and run folders are made of it."""

from __future__ import annotations

import numpy as np

from rnb.contract.result import ClassAndScore
from rnb.live.table import LiveTable
from rnb.transport.local.request_table import CODEC_BYTES

MOST_BYTES = 4 << 20
"""Of results and names; it is full with more of them."""
_OUTCOME = np.dtype(
    [
        ("outcome", "i4"),
        ("num_clips", "i4"),
        ("width", "i4"),
        ("height", "i4"),
        ("codec", f"S{CODEC_BYTES}"),
        ("label", "i4"),
        ("score", "f4"),
        ("ended_ns", "i8"),
    ]
)


class Ledger:
    """Room for `size` requests, in the order in which they were answered.

    `times`, `served_by`: as of the table; readings of the clock. `outcomes`: a structured array with what
    `_OUTCOME` names. What few requests have is in dictionaries, by place.
    """

    def __init__(self, table: LiveTable, size: int) -> None:
        self.size, self.num_requests, self.num_bytes = size, 0, 0
        self.times = np.zeros((size, *table.times.shape[1:]), np.int64)
        self.served_by = np.zeros((size, *table.served_by.shape[1:]), np.int32)
        self.outcomes = np.zeros(size, _OUTCOME)
        self.payloads: list[str] = []
        self.reasons: dict[int, str] = {}
        self.results: dict[int, bytes] = {}
        """As they are encoded."""
        self.traces: dict[int, str] = {}
        self.sequences: dict[int, int | str] = {}

    @property
    def is_full(self) -> bool:
        return self.num_requests == self.size or self.num_bytes > MOST_BYTES

    def add(
        self,
        table: LiveTable,
        row: int,
        outcome: int,
        ended_ns: int,
        *,
        payload: str,
        result: bytes | ClassAndScore = b"",
        reason: str = "",
        trace_id: str = "",
        sequence: int | str | None = None,
    ) -> None:
        """Keep a request whose row is to be freed."""
        place = self.num_requests
        self.num_requests += 1
        self.times[place] = table.times[row]
        self.served_by[place] = table.served_by[row]
        _, _, _, num_clips, width, height, codec, note = table.outcomes[row].item()
        label, score = result if isinstance(result, ClassAndScore) else ClassAndScore()
        self.outcomes[place] = (outcome, num_clips, width, height, codec, label, score, ended_ns)
        self.payloads.append(payload)
        self.num_bytes += len(payload)
        if isinstance(result, bytes) and result:
            self.results[place] = result
            self.num_bytes += len(result)
        if reason := reason or note.decode(errors="replace"):
            self.reasons[place] = reason
        if trace_id:
            self.traces[place] = trace_id
        if sequence is not None:
            self.sequences[place] = sequence
