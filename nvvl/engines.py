"""What reaches the GPU's video engine: the native session where it was built, else PyNvVideoCodec."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nvvl import video_engine
from nvvl.clips import Places
from nvvl.index import Run, VideoIndex
from nvvl.native import library
from nvvl.native.session import NativeSession
from nvvl.video_file import VideoFile

# Sessions are opened for pictures of at least this size: opening takes 0.1 s and more, re-pointing nothing.
MIN_SESSION_SIZE = 1280


class Engine(Protocol):
    """A session kept open from file to file, for pictures up to a size."""

    max_width: int
    max_height: int

    def collect(self, file: VideoFile, index: VideoIndex, run: Run, places: Places, clips: Tensor) -> None:
        """Decode a run, and copy each wanted frame to its surfaces in (clip, frame, rows, width)."""


def is_available() -> bool:
    """Whether this machine has a video engine and what reaches it."""
    return library.is_available() or video_engine.is_available()


def name() -> str:
    """What a run says that it decoded with."""
    return "nvdec" if library.is_available() else "nvdec by PyNvVideoCodec"


def capabilities(device_index: int, codec: str, bit_depth: int) -> dict[str, int]:
    """The least and most width and height of 4:2:0 video of this codec; empty: it is not decoded."""
    if library.is_available():
        return library.capabilities(device_index, codec, bit_depth) if codec in library.CODECS else {}
    if codec not in video_engine.ENGINE_CODECS:
        return {}
    return video_engine.capabilities(device_index, codec, bit_depth)


def open_engine(
    device_index: int, codec: str, bit_depth: int, stream: torch.cuda.Stream, width: int, height: int
) -> Engine:
    """A session for pictures of this size and smaller ones.

    Raises:
        EngineError: the driver gives none.
    """
    size = max(width, MIN_SESSION_SIZE), max(height, MIN_SESSION_SIZE)
    if library.is_available():
        return NativeSession(device_index, codec, bit_depth, stream, *size)
    return video_engine.VideoEngine(device_index, codec, stream, *size)
