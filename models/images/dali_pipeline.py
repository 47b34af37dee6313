"""NVIDIA DALI as a whole: it decodes, scales, cuts, mirrors and normalizes in a pipeline of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from nvidia.dali import Pipeline, fn, types
from torch.utils.dlpack import from_dlpack

from models.images.cut import Cut
from models.images.encoded import Encoded
from models.images.errors import damaged
from models.images.options import LoaderOptions

_DTYPES = {"float32": types.FLOAT, "float16": types.FLOAT16, "uint8": types.UINT8}


class DaliPipeline:
    """A `Loading`. Images, places and mirrors are its inputs, so what is drawn is the same as elsewhere."""

    def __init__(self, options: LoaderOptions, device: torch.device, batch_size: int) -> None:
        self._pipeline = Pipeline(
            batch_size=batch_size,
            num_threads=options.num_threads,
            device_id=device.index or 0 if device.type == "cuda" else None,
            prefetch_queue_depth=1,
        )
        with self._pipeline:
            self._pipeline.set_outputs(*_outputs(options, on_gpu=device.type == "cuda"))
        self._pipeline.build()

    def load(self, images: Sequence[Encoded], cuts: Sequence[Cut]) -> torch.Tensor:
        try:
            rows, shapes = self._pipeline.run(
                encoded=[np.frombuffer(image.data, dtype=np.uint8) for image in images],
                size=np.array([cut.resized[::-1] for cut in cuts], dtype=np.float32),
                place=np.array([_place(cut) for cut in cuts], dtype=np.float32),
                mirror=np.array([cut.is_mirrored for cut in cuts], dtype=np.int32),
            )
        except RuntimeError:
            raise damaged(images[0].name) from None
        for image, cut, shape in zip(images, cuts, shapes.as_array().tolist(), strict=True):
            if shape[1::-1] != list(cut.upright):
                raise damaged(image.name)
        return from_dlpack(rows.as_tensor())

    def close(self) -> None:
        del self._pipeline


def _outputs(options: LoaderOptions, *, on_gpu: bool) -> tuple[Any, Any]:
    """The graph, from its inputs to (images, 3, height, width), and to the size of each whole image."""
    encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1)
    size = fn.external_source(name="size", dtype=types.FLOAT, ndim=1)
    place = fn.external_source(name="place", dtype=types.FLOAT, ndim=1)
    mirror = fn.external_source(name="mirror", dtype=types.INT32, ndim=0)
    hardware = {} if options.hardware_share is None else {"hw_decoder_load": options.hardware_share}
    images = fn.decoders.image(
        encoded,
        device="mixed" if on_gpu else "cpu",
        output_type=types.RGB,
        jpeg_fancy_upsampling=True,  # as libjpeg does it
        **(hardware if on_gpu else {}),
    )
    resized = fn.resize(images, size=size, interp_type=types.INTERP_LINEAR, antialias=options.antialias)
    is_normalized = options.dtype != "uint8"
    rows = fn.crop_mirror_normalize(
        resized,
        crop=options.crop[::-1],
        crop_pos_x=place[0],
        crop_pos_y=place[1],
        mirror=mirror,
        mean=[255 * level if is_normalized else 0.0 for level in options.mean],
        std=[255 * spread if is_normalized else 1.0 for spread in options.std],
        dtype=_DTYPES[options.dtype],
        output_layout="CHW",
    )
    return rows, images.shape()


def _place(cut: Cut) -> tuple[float, float]:
    """Where the crop begins, as the share of the room that there is for it."""
    across, down = (whole - part for whole, part in zip(cut.resized, cut.size, strict=True))
    return cut.left / max(across, 1), cut.top / max(down, 1)
