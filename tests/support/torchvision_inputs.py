"""What torchvision makes of decoded frames before its R(2+1)D-18 sees them, written out."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import interpolate

RESIZE, CROP = (171, 128), (112, 112)
"""Width and height; torchvision has them the other way round."""


def cropped(frames: torch.Tensor) -> torch.Tensor:
    """RGB frames, uint8 (count, 3, height, width), as uint8 (count, 3, 112, 112).

    Bilinear, without antialiasing, and rounded, as its `resize` treats bytes; then its `center_crop`.
    """
    scaled = interpolate(frames.float(), size=RESIZE[::-1], mode="bilinear", align_corners=False)
    return scaled.round().to(torch.uint8)[..., 8:120, 30:142]


def as_rgb(frames: list[Any]) -> torch.Tensor:
    """PyAV's frames as torchvision's reader gives them, uint8 (count, 3, height, width)."""
    pictures = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in frames]
    return torch.stack(pictures).permute(0, 3, 1, 2)


def mean_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """In levels of 256."""
    return float((one.float() - other.float()).abs().mean())
