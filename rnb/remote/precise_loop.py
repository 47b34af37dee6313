"""An event loop whose timers end within microseconds, where asyncio and uvloop count milliseconds."""

from __future__ import annotations

import asyncio
import select
import selectors


class PreciseSelector(selectors.EpollSelector):
    """epoll counts milliseconds; select, which counts microseconds, can wait for an epoll as for a file."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def precise_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(PreciseSelector())
