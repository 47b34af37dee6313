"""Chooses what decodes."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nvvl import engines
from nvvl.clips import Clips
from nvvl.index import VideoIndex
from nvvl.nvdec_backend import NvdecBackend
from nvvl.original import OriginalBackend, find_original
from nvvl.pyav_backend import PyavBackend
from nvvl.video_file import VideoFile
from nvvl.window import Window

NAMES = ("auto", "nvdec", "pyav", "nvvl")


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


def check(name: str, device_type: str) -> None:
    """Whether this machine has the backend for 'cpu' or 'cuda'; nothing of it is started.

    Raises:
        ValueError: the backend does not exist, or not for this device.
        ImportError: it needs a package that is not installed.
    """
    if name not in NAMES:
        raise ValueError(f"backend {name!r}: choose one of {', '.join(NAMES)}")
    if name in ("nvdec", "nvvl") and device_type == "cpu":
        raise ValueError(f"backend {name!r} needs a GPU, but the device is the CPU; choose 'auto' or 'pyav'")
    if name == "nvdec" and not engines.is_available():
        raise ImportError(
            "backend 'nvdec' needs NVIDIA's driver, and the package PyNvVideoCodec or the session that"
            " python -m nvvl.native.build makes; choose 'auto'"
        )
    if name == "nvvl":
        find_original()


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
