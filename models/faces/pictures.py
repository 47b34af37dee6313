"""How the pictures of a request lie in the rows of a tensor, whatever their size."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, StrictInt

from rnb.contract import Layout, TensorSpec

MaxPixels = Annotated[StrictInt, Field(ge=1, le=8_000_000)]
"""More, and the sums of `models.faces.shrinking` do not fit their 32 bits."""
DEFAULT_MAX_PIXELS = 1280 * 1024


class Pictures(NamedTuple):
    """The payload beside the rows: one picture in each of them, all of one size."""

    width: int
    height: int
    """As they lie in the rows."""
    original_width: int
    original_height: int
    frames: tuple[int, ...] | None = None
    """Of a video: the number of each picture's frame; None: it is an image."""

    def in_original(self, box: tuple[float, ...]) -> list[float]:
        """A box (x_min, y_min, x_max, y_max) in pixels of the original, cut off at its edges."""
        across, down = self.original_width / self.width, self.original_height / self.height
        scaled = [value * (down if place % 2 else across) for place, value in enumerate(box)]
        ends = (self.original_width, self.original_height) * 2
        return [round(min(max(value, 0), end), 1) for value, end in zip(scaled, ends, strict=True)]


def fitted(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The size at which a picture is handed on: its own, or the largest of its shape with `max_pixels`."""
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    across, down = (max(1, min(int(side * scale), max_pixels)) for side in (width, height))
    return across, down


def layout(most_pictures: int, max_pixels: int) -> Layout:
    """(pictures, pixels, RGB): a picture is the first pixels of its row, line by line."""
    return (TensorSpec((most_pictures, max_pixels, 3), "uint8"),)


def views(rows: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """The pictures in rows of such a layout: (pictures, height, width, 3)."""
    return rows[:, : width * height].view(-1, height, width, 3)
