"""Steps that do nothing: what a pipeline of them takes is the harness's own cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnb.contract import Batch, Context, Count, Layout, Step, TensorSpec
from rnb.contract import Options as AnyOptions

if TYPE_CHECKING:
    import torch


class Nothing(Step):
    """Hands a request on without a tensor."""

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=[0] * len(batch))


class Produce(Step):
    """Hands on a slot of `shape` without writing to it, by default as large as 15 clips of R(2+1)D."""

    class Options(AnyOptions):
        shape: tuple[Count, ...] = (15, 3, 8, 112, 112)

    writes_in_place = True

    def __init__(self, options: Options, context: Context) -> None:
        import torch

        super().__init__(options, context)
        self._tensor = torch.zeros(*options.shape, device=context.device)

    @classmethod
    def output(cls, options: Options, inputs: Layout) -> Layout:
        return (TensorSpec(options.shape),)

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        tensor = self._tensor if out is None else out[0]
        return batch.give(tensors=[tensor], rows=[len(tensor)])


class Consume(Step):
    """Takes a slot and does nothing with it."""

    def __call__(self, batch: Batch) -> Batch:
        return batch.give(payloads=[0])
