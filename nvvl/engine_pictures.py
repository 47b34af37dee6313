"""Which videos a GPU's video engine decodes as the CPU would, and what becomes of its pictures."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from nvvl import convert as with_torch
from nvvl.convert import Surfaces, coefficients
from nvvl.engines import capabilities
from nvvl.errors import UnsupportedVideo
from nvvl.index import StreamInfo, VideoIndex
from nvvl.window import Window

# FFmpeg's names of the 4:2:0 formats that the engine writes, and their bits.
BIT_DEPTHS = {"yuv420p": 8, "yuvj420p": 8, "yuv420p10le": 10}
# P016 keeps the codes of 10-bit video in the high bits of its 16.
P016_BITS = 16


def check(index: VideoIndex, device: torch.device) -> None:
    """Whether this GPU's engine decodes the file, and decodes it as the CPU would.

    Raises:
        UnsupportedVideo: why not.
    """
    info = index.info
    if info.pixel_format not in BIT_DEPTHS:
        raise UnsupportedVideo(f"pixel format {info.pixel_format}")
    if info.interlaced:
        raise UnsupportedVideo("it is interlaced")
    if info.width % 2 or info.height % 2:
        raise UnsupportedVideo(f"odd size {info.width}x{info.height}")
    if info.color is None or info.orientation is None:
        raise UnsupportedVideo("its colour matrix or rotation is unusual")
    if not index.is_placed:
        raise UnsupportedVideo("its packets do not show one frame each")
    bit_depth = BIT_DEPTHS[info.pixel_format]
    limits = capabilities(device.index, info.codec, bit_depth)
    if not limits.get("width_max"):
        raise UnsupportedVideo(f"this GPU's does not decode {bit_depth}-bit {info.codec}")
    fits = limits["width_min"] <= info.width <= limits["width_max"]
    if not (fits and limits["height_min"] <= info.height <= limits["height_max"]):
        raise UnsupportedVideo(f"size {info.width}x{info.height}")


def num_bytes(info: StreamInfo) -> int:
    """Of one picture as the engine writes it, without padding."""
    return (info.height + info.height // 2) * info.width * (1 if BIT_DEPTHS[info.pixel_format] == 8 else 2)


def surfaces(memory: Tensor, info: StreamInfo) -> Surfaces:
    """As many pictures as these bytes hold."""
    dtype = torch.uint8 if BIT_DEPTHS[info.pixel_format] == 8 else torch.uint16
    data = memory.view(dtype).view(-1, info.height + info.height // 2, info.width)
    return Surfaces(data, info.width, info.height, chroma_row=info.height)


def convert(pictures: Surfaces, out: Tensor, info: StreamInfo, window: Window) -> None:
    """Scale, crop and colour-convert into `out`, (clips, 3, frames, height, width), on the current stream."""
    assert info.color is not None, "check refuses such a file"
    assert info.orientation is not None, "check refuses such a file"
    bit_depth = BIT_DEPTHS[info.pixel_format]
    code_scale = 1 if bit_depth == 8 else 1 << (P016_BITS - bit_depth)
    _fastest()(pictures, out, coefficients(info.color, bit_depth, code_scale), info.orientation, window)


@cache
def _fastest() -> Any:
    try:
        from nvvl import convert_triton
    except ImportError:
        return with_torch.convert
    return convert_triton.convert
