"""A step that packs the requests it gets into batches for the step after it."""

from __future__ import annotations

from typing import Any

from rnb.contract import options
from rnb.contract.options import Count
from rnb.contract.request import Batch, Layout
from rnb.contract.step import Context, Step


class Batcher(Step):
    """Packs `batch` requests into one message, in the order they arrive; fewer on a timeout or at the end."""

    class Options(options.Options):
        batch: Count = 1

    regroups = True

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self._held: list[Batch] = []

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        return tuple(spec.with_rows(spec.most_rows * options.batch) for spec in inputs)

    def __call__(self, batch: Batch) -> Batch | None:
        if self.options.batch == 1:
            return batch
        # The input is a slot that is reused after this call, so what is held back must be a copy.
        tensors = tuple(tensor.clone() for tensor in batch.tensors)
        self._held.append(Batch(batch.requests, tensors, batch.rows))
        return self._pack() if len(self._held) == self.options.batch else None

    def flush(self) -> Batch | None:
        return self._pack() if self._held else None

    def _pack(self) -> Batch:
        import torch

        held, self._held = self._held, []
        return Batch(
            requests=tuple(request for batch in held for request in batch.requests),
            tensors=tuple(torch.cat(parts) for parts in zip(*(one.tensors for one in held), strict=True)),
            rows=tuple(rows for batch in held for rows in batch.rows),
        )
