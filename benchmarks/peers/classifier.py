"""The network that every peer runs: RnB's own, as the config says, and the class of each request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from benchmarks.peers.work import Work
from models.r2p1d.model import R2P1DRunner
from rnb.contract import Context, Device, TensorSpec
from rnb.contract.top1 import top1_of_each


class Classifier:
    """For one thread at a time."""

    def __init__(self, work: Work) -> None:
        device = Device(work.device, 0)
        inputs = (TensorSpec((work.most_rows, *work.row), "uint8"),)
        self._most_rows = work.most_rows
        self._runner = R2P1DRunner(work.network, Context(where=device, inputs=inputs))
        self._device = self._runner.context.device
        self._runner.warm_up(range(1, work.most_rows + 1))

    def labels(self, clips: Sequence[torch.Tensor]) -> list[int]:
        """The class of each request, of whose clips there are one or more.

        Args:
            clips: uint8 (num_clips, 3, frames, height, width) of each request, anywhere.
        """
        return [label for group in groups(clips, self._most_rows) for label in self._labels_of(group)]

    def _labels_of(self, group: Sequence[torch.Tensor]) -> list[int]:
        rows = torch.cat(list(group)).to(self._device, non_blocking=True)
        results = top1_of_each(self._runner.infer(rows), [len(clips) for clips in group])
        return [result.label for result in results]


def groups(clips: Sequence[torch.Tensor], most_rows: int) -> Iterator[list[torch.Tensor]]:
    """Runs of requests that have so many clips together at most."""
    group: list[torch.Tensor] = []
    for one in clips:
        if group and sum(map(len, group)) + len(one) > most_rows:
            yield group
            group = []
        group.append(one)
    if group:
        yield group
