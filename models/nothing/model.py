"""Steps that do nothing: what a pipeline of them takes is the harness's own cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rnb.step import Shapes, Step, StepOutput, Tensors
from rnb.time_card import TimeCard


class Nothing(Step):
    """Hands a request on without a tensor."""

    def input_shape(self) -> None:
        return None

    @staticmethod
    def output_shape() -> None:
        return None

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        return None, 0, time_card


class Produce(Step):
    """Hands on a slot of `shape` without writing to it, by default as large as 15 clips of R(2+1)D."""

    writes_in_place = True

    def __init__(self, device: torch.device, shape: Sequence[int] = (15, 3, 8, 112, 112)) -> None:
        super().__init__(device)
        self._tensor = torch.zeros(*shape, device=device)

    def input_shape(self) -> None:
        return None

    @staticmethod
    def output_shape(shape: Sequence[int] = (15, 3, 8, 112, 112)) -> Shapes:
        return (tuple(shape),)

    def __call__(
        self, tensors: Tensors, non_tensors: Any, time_card: TimeCard, out: Tensors = None
    ) -> StepOutput:
        return out or (self._tensor,), None, time_card


class Consume(Step):
    """Takes a slot and does nothing with it."""

    def input_shape(self) -> Shapes:
        return ((15, 3, 8, 112, 112),)

    @staticmethod
    def output_shape() -> None:
        return None

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        return None, 0, time_card
