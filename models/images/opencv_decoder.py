"""OpenCV: JPEG, PNG and WebP on the CPU, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from models.images.decoding import Decoder
from models.images.options import LoaderOptions


def make(options: LoaderOptions, device: torch.device) -> Decoder:
    return decode


def decode(images: Sequence[bytes]) -> list[torch.Tensor | None]:
    """See `Decoder`."""
    return [_decode_one(data) for data in images]


def _decode_one(data: bytes) -> torch.Tensor | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # say of more pixels than OpenCV takes
        return None
    return None if pixels is None else torch.from_numpy(pixels).permute(2, 0, 1)
