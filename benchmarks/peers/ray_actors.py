"""Ray: a task for each video that decodes it, and an actor with the network.

By Ray Core's guides: what keeps no state is a task, so that a free worker takes the next one; the network is
an actor, asynchronous and with many calls under way, which runs on all clips that have come meanwhile; clips
go from the one to the other through the object store, without the driver and without a copy of their own.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.classifier import Classifier
from benchmarks.peers.peer import Peer, Played, need
from benchmarks.peers.plain_decoder import PlainDecoder
from benchmarks.peers.processes import ask_from, serve_on
from benchmarks.peers.work import Arrival, Work

MOST_CALLS = 10_000
OBJECT_STORE_BYTES = 2_000_000_000


class RayActors(Peer):
    def start(self) -> None:
        need("ray", "ray==2.60.0")
        import ray

        serve_on(self.work.cores)
        self.ending.callback(ray.shutdown)
        ray.init(
            "local",  # not a cluster that another started
            num_cpus=self.work.workers,
            num_gpus=1 if self.work.device == "cuda" else 0,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}},
        )
        ask_from(self.work.cores)
        self._decode = ray.remote(num_cpus=1)(decode)
        network = ray.remote(
            num_cpus=0, num_gpus=1 if self.work.device == "cuda" else 0, max_concurrency=MOST_CALLS
        )(Network)
        self._network = network.remote(self.work)
        ray.get(self._network.ready.remote())

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        return asyncio.run(self._play(arrivals))

    async def _play(self, arrivals: Sequence[Arrival]) -> Played:
        played = Played.nothing(len(arrivals))
        start_s = time.monotonic()

        async def ask(place: int, arrival: Arrival) -> None:
            await asyncio.sleep(start_s + arrival.due_s - time.monotonic())
            clips = self._decode.remote(self.work_file, arrival.request)
            label = await self._network.label.remote(clips)
            played.finish_s[place], played.labels[place] = time.monotonic() - start_s, label

        async with asyncio.TaskGroup() as tasks:
            for place, arrival in enumerate(arrivals):
                tasks.create_task(ask(place, arrival))
        return played


@functools.cache
def _decoder(work_file: Path) -> PlainDecoder:
    return PlainDecoder(Work.read(work_file))


def decode(work_file: Path, request: int) -> Any:
    """A task."""
    return _decoder(work_file).clips(request)


class Network:
    """An actor."""

    def __init__(self, work: Work) -> None:
        self._classifier, self._most_rows = Classifier(work), work.most_rows
        self._waiting: asyncio.Queue[tuple[Any, asyncio.Future[int]]] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def label(self, clips: Any) -> int:
        future = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((clips, future))
        label: int = await future
        return label

    async def _run(self) -> None:
        while True:
            there = [await self._waiting.get()]
            while not self._waiting.empty() and sum(len(clips) for clips, _ in there) < self._most_rows:
                there.append(self._waiting.get_nowait())
            labels = await asyncio.to_thread(self._labels, [clips for clips, _ in there])
            for (_, future), label in zip(there, labels, strict=True):
                future.set_result(label)

    def _labels(self, clips: Sequence[Any]) -> list[int]:
        # The object store's arrays cannot be written to, which torch warns of.
        return self._classifier.labels([torch.from_numpy(np.array(one)) for one in clips])
