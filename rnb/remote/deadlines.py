"""When requests have waited long enough for their answers; all of them may wait as long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from rnb.transport.clock import now_ns

Waiting = TypeVar("Waiting")


class Deadlines(Generic[Waiting]):
    """In the order in which they were sent, which is that of their ends."""

    def __init__(
        self, timeout_ms: float, *, is_open: Callable[[Waiting], bool], end: Callable[[Waiting], None]
    ) -> None:
        self._timeout_ns, self._is_open, self._end = int(timeout_ms * 1e6), is_open, end
        self._waiting: deque[tuple[int, Waiting]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, one: Waiting) -> None:
        """It was sent now."""
        while self._waiting and not self._is_open(self._waiting[0][1]):
            self._waiting.popleft()
        self._waiting.append((now_ns() + self._timeout_ns, one))
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        self._timer = None
        if self._waiting:
            left_s = max(0.0, (self._waiting[0][0] - now_ns()) / 1e9)
            self._timer = asyncio.get_running_loop().call_later(left_s, self._look)

    def _look(self) -> None:
        while self._waiting and self._waiting[0][0] <= now_ns():
            _, one = self._waiting.popleft()
            if self._is_open(one):
                self._end(one)
        self._wait()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
