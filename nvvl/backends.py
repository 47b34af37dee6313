"""Chooses what decodes."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nvvl import engines
from nvvl.backend_names import check
from nvvl.clips import Clips
from nvvl.index import VideoIndex
from nvvl.nvdec_backend import NvdecBackend
from nvvl.original import OriginalBackend
from nvvl.pyav_backend import PyavBackend
from nvvl.video_file import VideoFile
from nvvl.window import Window


class Backend(Protocol):
    """Decodes the clips of one file into a tensor on its device."""

    name: str
    """What decodes, as one of NAMES; two where the second takes what the first cannot decode."""

    def decode(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> int:
        """Fill `out` (num_clips, 3, frames, height, width), ready for the current stream of its device.

        Returns:
            How many of the frames are concealed: damage has changed them.
        """

    def close(self) -> None:
        """Give back what is held. May be called twice."""


class UploadingBackend:
    """Decodes on the CPU and copies the clips to a GPU, where its video engine cannot be used."""

    name = PyavBackend.name

    def __init__(self, decoder: PyavBackend) -> None:
        self._decoder = decoder

    def decode(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> int:
        host = torch.empty(out.shape, dtype=out.dtype)
        num_concealed = self._decoder.decode(file, index, clips, host)
        out.copy_(host)
        return num_concealed

    def close(self) -> None:
        self._decoder.close()


def choose(name: str, device: torch.device, window: Window, *, conceal: bool = False) -> Backend:
    """The backend of this name for this device; 'auto' takes the GPU's video engine where there is one.

    Raises as `check` does.
    """
    check(name, device.type)
    if name == "nvvl":
        return OriginalBackend(device, window)
    if device.type == "cpu":
        return PyavBackend(window, conceal=conceal)
    cpu = UploadingBackend(PyavBackend(window, conceal=conceal))
    if name == "pyav" or not engines.is_available():
        return cpu
    return NvdecBackend(device, window, fallback=cpu.decode if name == "auto" else None, conceal=conceal)
