"""torchcodec: JPEG with libjpeg-turbo on the CPU and nvJPEG on a GPU; PNG and WebP on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torchcodec.decoders import decode_image, decode_jpeg

from models.images.decoding import Decoder
from models.images.options import LoaderOptions

_JPEG_START = b"\xff\xd8"


def make(options: LoaderOptions, device: torch.device) -> Decoder:
    return _OnGpu(device) if device.type == "cuda" else decode


def decode(images: Sequence[bytes]) -> list[torch.Tensor | None]:
    """On the CPU; see `Decoder`."""
    return [_decode_one(data) for data in images]


def _decode_one(data: bytes, **options: Any) -> torch.Tensor | None:
    decoder: Any = decode_jpeg if data.startswith(_JPEG_START) else decode_image
    try:
        decoded: torch.Tensor = decoder(_as_tensor(data), **options)
    except (RuntimeError, ValueError):
        return None
    return decoded


def _as_tensor(data: bytes) -> torch.Tensor:
    # A copy, as PyTorch warns of what cannot be written to.
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


class _OnGpu:
    """JPEGs of a call go to nvJPEG together; one by one where it refuses them, to know which."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, images: Sequence[bytes]) -> list[torch.Tensor | None]:
        jpegs = [_as_tensor(data) for data in images if data.startswith(_JPEG_START)]
        try:
            decoded = iter(decode_jpeg(jpegs, device=self._device) if jpegs else ())
        except RuntimeError:
            return [self._one(data) for data in images]
        return [next(decoded) if data.startswith(_JPEG_START) else _decode_one(data) for data in images]

    def _one(self, data: bytes) -> torch.Tensor | None:
        return _decode_one(data, device=self._device) if data.startswith(_JPEG_START) else _decode_one(data)
