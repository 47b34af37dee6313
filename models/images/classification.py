"""How ImageClassifier runs its network: bytes or floats to logits, eager or as CUDA graphs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch

from models.graphs import Graphs
from models.images.options import ClassifierOptions
from models.images.pixels import Normalization
from models.images.resnet import build_resnet50
from rnb.contract import TensorSpec

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Classification:
    """One thread may use it; where all sizes have graphs, several, one at a time."""

    def __init__(self, options: ClassifierOptions, pictures: TensorSpec, device: torch.device) -> None:
        """`pictures`: of the largest call."""
        self._pictures, self._device, self._dtype = pictures, device, PRECISIONS[options.precision]
        self._uses_graphs = options.cuda_graphs and device.type == "cuda"
        network: Any = build_resnet50(options.num_classes, options.checkpoint, options.seed)
        self._network = network.to(device, self._dtype, memory_format=torch.channels_last)
        self._normalize = Normalization(options.mean, options.std, device)
        self._input: torch.Tensor | None = None
        self._graphs, self._warming_up = Graphs(device), threading.Lock()

    @torch.inference_mode()
    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """Logits, (rows, num_classes), float32, of pictures (rows, 3, height, width); the caller's own."""
        if self._input is None or len(pictures) not in self._graphs.sizes:
            return self._run(pictures)
        self._input[: len(pictures)].copy_(pictures)
        return self._graphs.replay(len(pictures)).clone()

    def _run(self, pictures: torch.Tensor) -> torch.Tensor:
        if pictures.dtype == torch.uint8:
            pictures = self._normalize(pictures)
        logits: torch.Tensor = self._network(pictures.to(self._dtype, memory_format=torch.channels_last))
        return logits.float()

    @torch.inference_mode()
    def warm_up(self, sizes: Sequence[int]) -> None:
        """Get ready for calls with these numbers of pictures."""
        if not sizes:
            return
        with self._warming_up:
            if self._graphs.sizes != set(sizes):  # else another thread, which shares this, has done it
                self._warm_up(sizes)

    def _warm_up(self, sizes: Sequence[int]) -> None:
        dtype = getattr(torch, self._pictures.dtype)
        pictures = torch.zeros(max(sizes), *self._pictures.row, dtype=dtype, device=self._device)
        # On the CPU a size costs nothing extra when it is new.
        for size in sizes if self._device.type == "cuda" else [max(sizes)]:
            self._run(pictures[:size])
        if self._uses_graphs:
            self._input = pictures
            self._graphs.capture(sizes, lambda size: self._run(pictures[:size]))
