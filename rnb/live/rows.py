"""Who is in which row of the table: the requests that are inside, as the event loop knows them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rnb.live.asking import Answer, Ask, Why
from rnb.live.table import NEVER_NS, LiveTable
from rnb.transport.payload_file import PayloadFile, PayloadFiles


@dataclass(slots=True)
class Pending:
    """A request that is inside."""

    id: int
    ask: Ask
    file: PayloadFile | None
    future: asyncio.Future[Answer] | None
    """None: nobody waits for it any more."""
    timer: asyncio.TimerHandle | None = None
    """Of its deadline."""
    why: Why = Why.LATE
    """Why nobody waits, where that is so."""

    @property
    def payload(self) -> str:
        """What the first step takes."""
        return self.file.path if self.file is not None else str(self.ask.payload)

    @property
    def title(self) -> str:
        """What its payload is, for a file."""
        payload = self.ask.payload
        return payload if isinstance(payload, str) else f"{len(payload)} bytes{self.ask.suffix}"


class Rows:
    """As many as the table has."""

    def __init__(self, table: LiveTable) -> None:
        self._table = table
        self._free = list(reversed(range(table.num_requests)))
        self._next_ids = list(range(table.num_requests))
        self._inside: dict[int, Pending] = {}
        """By row."""
        self._files = PayloadFiles()
        self.idle = asyncio.Event()
        """Nobody is inside."""
        self.idle.set()

    def __len__(self) -> int:
        """How many requests are inside."""
        return len(self._inside)

    @property
    def is_full(self) -> bool:
        return not self._free

    @property
    def ids(self) -> list[int]:
        return [pending.id for pending in self._inside.values()]

    def get(self, request_id: int) -> Pending | None:
        """None: it is not inside any more."""
        row = self._table.row_of(request_id)
        return None if row is None else self._inside[row]

    def take(self, ask: Ask, future: asyncio.Future[Answer]) -> Pending:
        """Let a request in; there is a free row. Raises OSError where its bytes cannot be kept."""
        file = None if isinstance(ask.payload, str) else self._files.hold(ask.payload)
        row = self._free.pop()
        pending = Pending(self._next_ids[row], ask, file, future)
        self._next_ids[row] += self._table.num_requests
        self._table.admit(pending.id, NEVER_NS if ask.deadline_ns is None else min(ask.deadline_ns, NEVER_NS))
        self._inside[row] = pending
        self.idle.clear()
        return pending

    def free(self, request_id: int) -> None:
        """Let a request go that was answered: no replica has it any more."""
        row = request_id % self._table.num_requests
        pending = self._inside.pop(row)
        self._table.dismiss(row)
        self._free.append(row)
        if pending.timer is not None:
            pending.timer.cancel()
        if pending.file is not None:
            self._files.let_go(pending.file)
        if not self._inside:
            self.idle.set()

    def close(self) -> None:
        self._files.close()
