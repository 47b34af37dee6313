"""Which part of an image is taken, and where it is: the same with every backend.

stored, turned upright -> resized -> the crop of that -> mirrored or not
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.images.errors import ImageError
from models.images.header import Header
from models.images.options import CutOptions


class Cut(NamedTuple):
    """What is done to one image; sizes and places are in pixels."""

    upright: tuple[int, int]
    """Width and height of the whole, turned as it is to be seen."""
    resized: tuple[int, int]
    left: int
    top: int
    """Where the crop begins, in what was resized."""
    size: tuple[int, int]
    """Of the crop."""
    is_mirrored: bool

    def described(self) -> dict[str, object]:
        """As JSON."""
        return {
            "size": list(self.upright),
            "resized": list(self.resized),
            "crop": [self.left, self.top, *self.size],
            "mirrored": self.is_mirrored,
        }


def cut_of(name: str, header: Header, options: CutOptions, request_id: int) -> Cut:
    """The cut for a request. Raises ImageError for an image that is too large."""
    width, height = header.upright
    resized = _resized(width, height, options.resize)
    if max(width * height, resized[0] * resized[1]) > options.max_pixels:
        raise ImageError(
            f"{name}: {width}x{height} pixels, {resized[0]}x{resized[1]} when scaled;"
            f" max_pixels is {options.max_pixels}"
        )
    rooms = [whole - part for whole, part in zip(resized, options.crop, strict=True)]
    draw = np.random.default_rng([options.seed & (1 << 64) - 1, request_id])
    drawn, is_mirrored = draw.integers(0, rooms, endpoint=True), draw.random() < options.mirror
    left, top = (room // 2 for room in rooms) if options.crop_position == "centre" else map(int, drawn)
    return Cut(
        upright=(width, height),
        resized=resized,
        left=left,
        top=top,
        size=options.crop,
        is_mirrored=bool(is_mirrored),
    )


def _resized(width: int, height: int, resize: int | tuple[int, int]) -> tuple[int, int]:
    """As torchvision rounds: what is left of a pixel on the longer side is dropped."""
    if isinstance(resize, tuple):
        return resize
    if width <= height:
        return resize, resize * height // width
    return resize * width // height, resize
