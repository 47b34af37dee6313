"""Decoders by name, and the rest of the work with PyTorch: image by image, on the device."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol

import torch

from models.images.cut import Cut
from models.images.encoded import Encoded
from models.images.errors import damaged
from models.images.options import LoaderOptions
from models.images.pixels import PixelWork

DECODERS = {
    "opencv": "opencv_decoder",
    "torchcodec": "torchcodec_decoder",
    "nvimgcodec": "nvimgcodec_decoder",
}
"""The module of each beside this one; imported when it is used."""


class Decoder(Protocol):
    """Decodes images of any format that `read_header` takes."""

    def __call__(self, images: Sequence[bytes]) -> Sequence[torch.Tensor | None]:
        """Each image upright, (3, height, width), RGB, uint8, on any device; None: it cannot be decoded."""


def make_decoder(options: LoaderOptions, device: torch.device) -> Decoder:
    module = importlib.import_module(f"models.images.{DECODERS[options.backend]}")
    decoder: Decoder = module.make(options, device)
    return decoder


class DecoderAndPixelWork:
    """A `Loading` of a decoder and `PixelWork`."""

    def __init__(self, options: LoaderOptions, device: torch.device, batch_size: int) -> None:
        self._decode, self._work = make_decoder(options, device), PixelWork(options, device)
        (spec,) = options.rows()
        self._rows = torch.empty(batch_size, *spec.row, dtype=getattr(torch, spec.dtype), device=device)

    def load(self, images: Sequence[Encoded], cuts: Sequence[Cut]) -> torch.Tensor:
        rows = self._rows[: len(images)]
        decoded = self._decode([image.data for image in images])
        for image, pixels, cut, row in zip(images, decoded, cuts, rows, strict=True):
            if pixels is None or pixels.shape != (3, *cut.upright[::-1]):
                raise damaged(image.name)
            self._work(pixels.to(rows.device, non_blocking=True), cut, row)
        return rows

    def close(self) -> None:
        del self._decode
