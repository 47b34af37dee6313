"""From a decoded image to a row of numbers, with PyTorch on the image's device."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

from models.images.cut import Cut
from models.images.options import LoaderOptions


class Normalization:
    """Pictures of any number type from 0 to 255 to float32, with mean and spread of each colour."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        self._mean = 255 * torch.tensor(mean, device=device).view(3, 1, 1)
        self._std = 255 * torch.tensor(std, device=device).view(3, 1, 1)

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """`pictures`: (…, 3, height, width)."""
        return (pictures.float() - self._mean) / self._std


class PixelWork:
    """Resizes, cuts, mirrors and normalizes images, one after the other."""

    def __init__(self, options: LoaderOptions, device: torch.device) -> None:
        self._normalize = Normalization(options.mean, options.std, device)
        self._is_normalized = options.dtype != "uint8"
        self._resize = _smooth if options.antialias else _nearest_four

    def __call__(self, image: torch.Tensor, cut: Cut, out: torch.Tensor) -> None:
        """Fill `out` (3, height, width) with the cut of an upright `image` (3, height, width), uint8."""
        width, height = cut.size
        whole = image if cut.resized == cut.upright else self._resize(image, cut)
        part = whole[:, cut.top : cut.top + height, cut.left : cut.left + width]
        if cut.is_mirrored:
            part = part.flip(-1)
        out.copy_(self._normalize(part) if self._is_normalized else part.round())


def _nearest_four(image: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Bilinear, between the nearest pixels, not rounded."""
    return interpolate(image[None].float(), cut.resized[::-1], mode="bilinear")[0]


def _smooth(image: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Bilinear, over all pixels that a new one covers, and rounded."""
    source = image[None] if image.device.type == "cpu" else image[None].float()
    resized = interpolate(source, cut.resized[::-1], mode="bilinear", antialias=True)[0]
    return resized if resized.dtype == torch.uint8 else resized.round_().clamp_(0, 255)
