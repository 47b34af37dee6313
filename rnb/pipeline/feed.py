"""A step that makes up the input of another, so that this one can be run alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnb.contract import options
from rnb.contract.options import Count
from rnb.contract.request import Batch, Layout, TensorSpec
from rnb.contract.step import Context, Step

if TYPE_CHECKING:
    import torch


class Feed(Step):
    """Hands on random tensors of these shapes and number types, with all their rows, for each request."""

    class Options(options.Options):
        shapes: tuple[tuple[Count, ...], ...]
        dtypes: tuple[str, ...]
        seed: int = 0

    writes_in_place = True

    def __init__(self, options: Any, context: Context) -> None:
        import torch

        super().__init__(options, context)
        generator = torch.Generator().manual_seed(options.seed)
        self._tensors = [
            torch.randint(0, 256, spec.shape, generator=generator).to(
                context.device, getattr(torch, spec.dtype)
            )
            for spec in self.output(options, ())
        ]
        self._filled: set[int] = set()

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if len(options.shapes) != len(options.dtypes):
            raise ValueError("shapes and dtypes: there must be as many of one as of the other")
        return tuple(map(TensorSpec, options.shapes, options.dtypes))

    def __call__(self, batch: Batch, out: tuple[torch.Tensor, ...] | None = None) -> Batch:
        tensors = self._tensors
        if out is not None:
            if out[0].data_ptr() not in self._filled:  # each slot is written once
                for target, tensor in zip(out, tensors, strict=True):
                    target.copy_(tensor)
                self._filled.add(out[0].data_ptr())
            tensors = list(out)
        return batch.give(tensors=tensors, rows=[tuple(len(tensor) for tensor in tensors)])
