"""Cuts boxes out of pictures and shrinks each to one size: all boxes of all pictures at once.

An output pixel is the mean of the pixels that it covers, which four lookups in a table of sums give for any
size of the box (F. Crow, Summed-area tables for texture mapping, SIGGRAPH 1984). The sums are whole numbers,
so CPU and GPU have the same pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sums_of(pictures: Tensor) -> Tensor:
    """The table of sums of pictures (n, height, width, channels), uint8, of at most 8 million pixels each.

    Entry [y, x] is the sum of all pixels above and left of it: (n, height + 1, width + 1, channels), int32.
    """
    count, height, width, channels = pictures.shape
    sums = torch.zeros((count, height + 1, width + 1, channels), dtype=torch.int32, device=pictures.device)
    lines = pictures.cumsum(2, dtype=torch.int32)
    torch.cumsum(lines, 1, dtype=torch.int32, out=sums[:, 1:, 1:])
    return sums


def shrunk(sums: Tensor, owner: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes as small pictures.

    Args:
        sums: as `sums_of` gives them.
        owner: (boxes,) the number of each box's picture.
        boxes: (boxes, 4) int64, x_min, y_min, x_max, y_max; what is outside of the picture counts as 0.
        size: height and width of the output.

    Returns:
        float32 (boxes, channels, height, width), from 0 to 255.
    """
    top, bottom = _edges(boxes[:, 1], boxes[:, 3], size[0])
    left, right = _edges(boxes[:, 0], boxes[:, 2], size[1])
    area = (bottom - top)[:, :, None] * (right - left)[:, None, :]
    top, bottom = (edge.clamp(0, sums.shape[1] - 1)[:, :, None] for edge in (top, bottom))
    left, right = (edge.clamp(0, sums.shape[2] - 1)[:, None, :] for edge in (left, right))
    each = owner[:, None, None]
    total = sums[each, bottom, right] - sums[each, top, right]
    total += sums[each, top, left] - sums[each, bottom, left]
    return (total / area[..., None]).permute(0, 3, 1, 2)


def _edges(start: Tensor, end: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where each of `count` pixels begins and ends in the source; two may share a pixel that both cover."""
    steps = torch.arange(count, device=start.device)
    length = (end - start)[:, None]
    first = start[:, None] + steps * length // count
    last = start[:, None] - (-(steps + 1) * length // count)
    return first, last
