"""The step interface of RnB 0.1, which is snuspl/rnb's with a few additions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from rnb.contract.request import RequestError

__all__ = ["RequestError", "Shapes", "Step", "StepOutput", "Tensors"]

Shapes: TypeAlias = tuple[tuple[int, ...], ...]
Tensors: TypeAlias = tuple[torch.Tensor, ...] | None
StepOutput: TypeAlias = tuple[Tensors, Any, Any]


class Step:
    """A stage whose call takes tensors, a value and a time card, and returns the same three."""

    batches_requests = False
    reads_in_place = True
    writes_in_place = False
    takes_turns = False
    joins_segments = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def input_shape(self) -> Shapes | None:
        raise NotImplementedError

    @staticmethod
    def output_shape(*args: Any, **kwargs: Any) -> Shapes | None:
        raise NotImplementedError

    @staticmethod
    def output_dtype(*args: Any, **kwargs: Any) -> torch.dtype:
        return torch.float32

    @staticmethod
    def default_workers(device: torch.device) -> int:
        return 1

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: Any) -> StepOutput:
        raise NotImplementedError

    def warm_up(self, row_counts: Sequence[int]) -> None:
        """As in `rnb.contract.Step`."""

    def flush(self) -> StepOutput | None:
        return None

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """As in `rnb.contract.Step`."""
