"""Where a replica computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """A GPU by its CUDA index, or the CPU. Unlike torch's it needs no torch."""

    type: str = "cpu"
    """'cpu' or 'cuda'."""
    index: int | None = None

    @property
    def is_gpu(self) -> bool:
        return self.type == "cuda"

    def torch(self) -> torch.device:
        import torch

        return torch.device(self.type) if self.index is None else torch.device(self.type, self.index)

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


CPU = Device()
