"""The two models of the ensemble, as the Python backend of Triton calls them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.dlpack import from_dlpack

from benchmarks.peers.classifier import Classifier
from benchmarks.peers.plain_decoder import PlainDecoder
from benchmarks.peers.triton_ensemble import WORK
from benchmarks.peers.work import Work


class Decode:
    """REQUEST (1) -> CLIPS (num_clips, 3, frames, height, width)."""

    def initialize(self, _args: dict[str, str]) -> None:
        torch.set_num_threads(1)
        self._decoder = PlainDecoder(Work.read(os.environ[WORK]))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [_answer("CLIPS", self._clips(request)) for request in requests]

    def _clips(self, request: Any) -> torch.Tensor:
        return torch.from_numpy(self._decoder.clips(int(_tensor(request, "REQUEST"))))


class Network:
    """CLIPS -> LABEL (num_clips, 1), of each the request's: to Triton the clips of a request are a batch."""

    def initialize(self, _args: dict[str, str]) -> None:
        self._classifier = Classifier(Work.read(os.environ[WORK]))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        clips = [_tensor(request, "CLIPS") for request in requests]
        labels = self._classifier.labels(clips)
        return [
            _answer("LABEL", torch.full((len(one), 1), label, dtype=torch.int32))
            for one, label in zip(clips, labels, strict=True)
        ]


def _tensor(request: Any, name: str) -> torch.Tensor:
    import triton_python_backend_utils as backend

    return from_dlpack(backend.get_input_tensor_by_name(request, name).to_dlpack())


def _answer(name: str, tensor: torch.Tensor) -> Any:
    """By DLPack: the backend of 2.51 makes nothing of the arrays of NumPy 2."""
    import triton_python_backend_utils as backend

    return backend.InferenceResponse([backend.Tensor.from_dlpack(name, tensor)])
