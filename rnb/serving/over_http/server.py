"""The HTTP side's server: uvicorn in the event loop of the pipeline, which leaves signals alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

import uvicorn

from rnb.serving.front import Front
from rnb.serving.over_http.app import app_of
from rnb.serving.over_http.connection import protocol_of
from rnb.serving.ports import listen

SWEEP_S = 0.5
"""How often slow and silent connections are looked for."""
BACKLOG = 4096
ENDING_S = 1
"""For requests that are still being sent when all others have their answers."""


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Of one front."""

    def __init__(self, front: Front) -> None:
        self._front, settings = front, front.settings
        config = uvicorn.Config(
            app_of(front),
            http=protocol_of(settings),
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            log_level="critical",  # what clients get wrong is told to them, and noted in our own log
            access_log=False,
            server_header=False,
            timeout_keep_alive=max(1, round(settings.idle_timeout)),
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            backlog=BACKLOG,
            timeout_graceful_shutdown=ENDING_S,
            proxy_headers=False,
        )
        config.load()
        self._server = _Uvicorn(config)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        """Listen; returns the port. Raises UsageError."""
        listener = listen(self._front.settings.host, self._front.settings.port)
        self._tasks = [
            asyncio.create_task(self._server.serve([listener])),
            asyncio.create_task(self._sweep()),
        ]
        while not self._server.started:
            if self._tasks[0].done():
                self._tasks[0].result()
            await asyncio.sleep(0.005)
        return int(listener.getsockname()[1])

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = time.monotonic()
            for connection in list(self._server.server_state.connections):
                connection.check(now_s)  # type: ignore[union-attr]

    async def stop(self) -> None:
        """Close all connections; requests that are under way are answered first."""
        self._server.should_exit = True
        serving, sweeping = self._tasks
        await serving
        sweeping.cancel()
