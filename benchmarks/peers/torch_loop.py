"""A plain PyTorch loop: a DataLoader whose workers decode with PyAV, and the network in its process.

By PyTorch's Performance Tuning Guide: a worker for each core, pinned memory, workers that stay, results in
any order; the network is that of the config, in inference mode. All at once a worker decodes 8 videos for a
batch; at a rate it hands on each video by itself, as a batch would wait for its last arrival.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmarks.peers.classifier import Classifier
from benchmarks.peers.peer import Peer, Played, wait_until
from benchmarks.peers.plain_decoder import PlainDecoder
from benchmarks.peers.work import Arrival, Work

BATCH_SIZE = 8

Item = tuple[int, torch.Tensor]
"""The place of an arrival, and its clips."""
Due = tuple[int, int, float]
"""The place of an arrival, its request, and when it is due, in seconds of `time.monotonic`."""


class Videos(Dataset[Item]):
    def __init__(self, work: Work) -> None:
        self._work = work
        self._decoder: PlainDecoder | None = None

    def __getitem__(self, due: Due) -> Item:
        place, request, due_s = due
        self._decoder = self._decoder or PlainDecoder(self._work)
        wait_until(due_s, 0)
        return place, torch.from_numpy(self._decoder.clips(request))


class Batches(Sampler[list[Due]]):
    """The batches of what is played next."""

    def __init__(self) -> None:
        self.batches: list[list[Due]] = []

    def __iter__(self) -> Iterator[list[Due]]:
        return iter(self.batches)

    def play(self, arrivals: Sequence[Arrival], start_s: float) -> None:
        dues = [(place, one.request, start_s + one.due_s) for place, one in enumerate(arrivals)]
        size = 1 if any(one.due_s for one in arrivals) else BATCH_SIZE
        self.batches = [dues[first : first + size] for first in range(0, len(dues), size)]


class TorchLoop(Peer):
    def start(self) -> None:
        self._batches = Batches()
        self._loader = DataLoader(
            Videos(self.work),
            batch_sampler=self._batches,
            num_workers=self.work.workers,
            collate_fn=list,
            pin_memory=self.work.device == "cuda",
            persistent_workers=True,
            in_order=False,
        )
        self.ending.callback(self._end_workers)
        self.play([])  # forks the workers, before there is CUDA
        self._classifier = Classifier(self.work)

    def _end_workers(self) -> None:
        """They end with the last reference to them."""
        del self._loader

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        played = Played.nothing(len(arrivals))
        start_s = time.monotonic()
        self._batches.play(arrivals, start_s)
        for items in self._loader:
            labels = self._classifier.labels([clips for _, clips in items])
            for (place, _), label in zip(items, labels, strict=True):
                played.finish_s[place] = time.monotonic() - start_s
                played.labels[place] = label
        return played
