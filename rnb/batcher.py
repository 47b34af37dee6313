"""A step that packs the requests it gets into batches for the step after it."""

from __future__ import annotations

from typing import Any

import torch

from rnb.step import Shapes, Step, StepOutput, Tensors
from rnb.time_card import TimeCard, TimeCardList


class Batcher(Step):
    """Packs `batch` requests into one message, in the order they arrive; fewer on a timeout or at the end."""

    def __init__(self, device: torch.device, batch: int = 1) -> None:
        super().__init__(device)
        self.batch = batch
        self._held: list[tuple[Tensors, Any, TimeCard]] = []

    def input_shape(self) -> Shapes | None:
        return ()

    @staticmethod
    def output_shape(input_shapes: Shapes, batch: int = 1) -> Shapes:
        if batch < 1:
            raise ValueError(f"batch: {batch}, must be at least 1")
        return tuple((shape[0] * batch, *shape[1:]) for shape in input_shapes)

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        if self.batch == 1:
            return tensors, non_tensors, time_card
        assert tensors is not None
        # The input is a slot that is reused after this call, so what is held back must be a copy.
        self._held.append((tuple(tensor.clone() for tensor in tensors), non_tensors, time_card))
        return self._pack() if len(self._held) == self.batch else (None, None, None)

    def flush(self) -> StepOutput | None:
        return self._pack() if self._held else None

    def _pack(self) -> StepOutput:
        held, self._held = self._held, []
        tensors = tuple(
            torch.cat(parts) for parts in zip(*(entry[0] for entry in held if entry[0]), strict=True)
        )
        return tensors, [value for _, value, _ in held], TimeCardList([card for _, _, card in held])
