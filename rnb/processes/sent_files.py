"""The files that requests brought along from another node, until the first step is done with them."""

from __future__ import annotations

import numpy as np

from rnb.contract.events import Event, EventKind
from rnb.transport.fabric import GIVEN_UP, NOBODY, UNFINISHED, Table
from rnb.transport.payload_file import PayloadFile, PayloadFiles

_SERVED = Event(EventKind.FINISHED, 0)
MOST_FILES, MOST_BYTES = 500, 1 << 30
"""While there are so many, no more is received."""


class SentFiles:
    """Held in memory; steps open them by a path, as they open others."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._files = PayloadFiles()
        self._held: dict[int, PayloadFile] = {}
        """By the request."""

    def hold(self, request_id: int, data: bytes) -> str:
        """The path of a file with these bytes. Raises OSError where no memory is left."""
        if request_id in self._held:  # of a try that came to nothing
            self._files.let_go(self._held.pop(request_id))
        self._table.column(_SERVED)[request_id], self._table.holders[request_id] = 0, NOBODY
        file = self._held[request_id] = self._files.hold(data)
        return file.path

    @property
    def is_full(self) -> bool:
        num_bytes = sum(file.num_bytes for file in self._held.values())
        return len(self._held) >= MOST_FILES or num_bytes >= MOST_BYTES

    def look(self) -> None:
        """Let go of those that nobody will open any more."""
        if not self._held:
            return
        ids = np.fromiter(self._held, np.int64)
        has_served = self._table.column(_SERVED)[ids] != 0
        has_outcome = self._table.outcomes["status"][ids] != UNFINISHED
        is_given_up = self._table.holders[ids] == GIVEN_UP
        for request_id in ids[has_served | has_outcome | is_given_up].tolist():
            self._files.let_go(self._held.pop(request_id))
