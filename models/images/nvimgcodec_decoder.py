"""nvImageCodec: JPEG with the GPU's JPEG engine and nvJPEG, other formats as it can; or all on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from nvidia import nvimgcodec
from torch.utils.dlpack import from_dlpack

from models.images.decoding import Decoder
from models.images.options import LoaderOptions


def make(options: LoaderOptions, device: torch.device) -> Decoder:
    return _Nvimgcodec(options, device)


class _Nvimgcodec:
    """See `Decoder`."""

    def __init__(self, options: LoaderOptions, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._params = nvimgcodec.DecodeParams(color_spec=nvimgcodec.SRGB, sample_format=nvimgcodec.P_RGB)
        self._decoder = nvimgcodec.Decoder(
            device_id=device.index or 0 if self._on_gpu else nvimgcodec.NVIMGCODEC_DEVICE_CPU_ONLY,
            max_num_cpu_threads=options.num_threads,
            backends=_kinds(options.hardware_share) if self._on_gpu else [_kind("CPU_ONLY")],
            options=":fancy_upsampling=1",  # as libjpeg does it
        )

    def __call__(self, images: Sequence[bytes]) -> list[torch.Tensor | None]:
        streams = [nvimgcodec.CodeStream(data) for data in images]
        stream = torch.cuda.current_stream().cuda_stream if self._on_gpu else 0
        decoded = self._decoder.decode(streams, params=self._params, cuda_stream=stream)
        return [None if image is None else self._tensor(image) for image in decoded]

    def _tensor(self, image: Any) -> torch.Tensor:
        return from_dlpack(image) if self._on_gpu else torch.from_numpy(np.asarray(image))


def _kinds(hardware_share: float | None) -> list[Any]:
    """What may decode, in this order; the engine gets its share of each call."""
    if hardware_share is None:
        return []
    engine = [_kind("HW_GPU_ONLY", hardware_share)] if hardware_share else []
    return [*engine, *map(_kind, ("GPU_ONLY", "HYBRID_CPU_GPU", "CPU_ONLY"))]


def _kind(name: str, share: float = 1.0) -> Any:
    return nvimgcodec.Backend(nvimgcodec.BackendKind.__members__[name], load_hint=share)
