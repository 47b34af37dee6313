"""Chooses what decodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nvvl import video_engine
from nvvl.index import VideoIndex
from nvvl.nvdec_backend import NvdecBackend
from nvvl.pyav_backend import PyavBackend
from nvvl.video_file import VideoFile

NAMES = ("auto", "nvdec", "pyav", "nvvl")


class Backend(Protocol):
    """Decodes the clips of one file into a tensor on its device."""

    def decode(self, file: VideoFile, index: VideoIndex, starts: Sequence[int], out: Tensor) -> None:
        """Fill `out` (num_clips, 3, frames, height, width), ready for the current stream of its device."""

    def close(self) -> None:
        """Give back what is held. May be called twice."""


class UploadingBackend:
    """Decodes on the CPU and copies the clips to a GPU, where its video engine cannot be used."""

    def __init__(self, decoder: PyavBackend) -> None:
        self._decoder = decoder

    def decode(self, file: VideoFile, index: VideoIndex, starts: Sequence[int], out: Tensor) -> None:
        host = torch.empty(out.shape, dtype=out.dtype)
        self._decoder.decode(file, index, starts, host)
        out.copy_(host)

    def close(self) -> None:
        self._decoder.close()


def choose(name: str, device: torch.device, width: int, height: int) -> Backend:
    """The backend of this name for this device; 'auto' takes the GPU's video engine where there is one.

    Raises:
        ValueError: the backend does not exist, or not for this device.
        ImportError: it needs a package that is not installed.
    """
    if name not in NAMES or name == "nvvl":
        raise ValueError(f"backend {name!r}: choose one of {', '.join(NAMES)}")
    if device.type == "cpu":
        if name == "nvdec":
            raise ValueError(
                "backend 'nvdec' needs a GPU, but device_id says the CPU; choose 'auto' or 'pyav'"
            )
        return PyavBackend(width, height)
    cpu = UploadingBackend(PyavBackend(width, height))
    if name == "pyav" or (name == "auto" and not video_engine.is_available()):
        return cpu
    return NvdecBackend(device, fallback=cpu.decode if name == "auto" else None)
