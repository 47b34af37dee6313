"""The client of the peers that are servers: a POST for each request when it is due, however many are open."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.peer import Played
from benchmarks.peers.work import Arrival

START_TIMEOUT_S = 240.0


def play_over_http(
    url: str, arrivals: Sequence[Arrival], body_of: Callable[[int], Any], label_of: Callable[[Any], int]
) -> Played:
    """`body_of` makes the JSON of a request, `label_of` reads that of its answer."""
    return asyncio.run(_play(url, arrivals, body_of, label_of))


async def _play(
    url: str, arrivals: Sequence[Arrival], body_of: Callable[[int], Any], label_of: Callable[[Any], int]
) -> Played:
    import aiohttp

    played = Played.nothing(len(arrivals))
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        start_s = time.monotonic()

        async def ask(place: int, arrival: Arrival) -> None:
            await asyncio.sleep(start_s + arrival.due_s - time.monotonic())
            async with session.post(url, json=body_of(arrival.request)) as answer:
                if answer.status == 200:
                    label = label_of(await answer.json())
                    played.finish_s[place], played.labels[place] = time.monotonic() - start_s, label
                else:
                    print(f"{answer.status}: {await answer.text()}", flush=True)

        async with asyncio.TaskGroup() as tasks:
            for place, arrival in enumerate(arrivals):
                tasks.create_task(ask(place, arrival))
    return played


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Raises RuntimeError when the server has ended, or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=10):
            return
        time.sleep(0.2)
    how = "does not become ready" if server.poll() is None else f"ended with status {server.returncode}"
    raise RuntimeError(f"the server {how}")
