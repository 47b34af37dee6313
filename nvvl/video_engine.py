"""One session of a GPU's video engine (NVDEC), through PyNvVideoCodec's packet interface.

The packets come from `nvvl.reader`, so that this decoder is fed exactly what the wanted frames need, and each
frame comes back under the number of its packet, whatever the timestamps of the file are.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

ENGINE_CODECS = {"h264": "H264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1"}
# Sessions are opened for pictures of at least this size: opening takes 0.1 s and more, re-pointing nothing.
MIN_SESSION_SIZE = 1280


class EngineError(Exception):
    """The driver refused a session or a packet."""


def is_available() -> bool:
    """Whether PyNvVideoCodec is installed and finds its driver."""
    try:
        _codec_module()
    except (ImportError, OSError, RuntimeError):
        return False
    return True


@cache
def _codec_module() -> Any:
    import PyNvVideoCodec

    return PyNvVideoCodec


@cache
def capabilities(device_index: int, codec: str, bit_depth: int) -> dict[str, int]:
    """What the driver says of 4:2:0 video of this codec; empty where the engine cannot decode it."""
    module = _codec_module()
    kind = getattr(module.cudaVideoCodec, ENGINE_CODECS[codec])
    chroma = _member(module.cudaVideoChromaFormat, "420")
    try:
        return dict(module.GetDecoderCaps(device_index, kind, chroma, bit_depth))
    except Exception:  # Whatever pybind11 makes of the driver's refusal.
        return {}


def _member(enumeration: Any, name: str) -> Any:
    """A member of a pybind11 enumeration whose name is no Python identifier."""
    return enumeration.__members__[name]


class VideoEngine:
    """A decoder kept open from file to file. It works on one CUDA stream, so what follows there is in order.

    Raises:
        EngineError: the driver gives no session.
    """

    def __init__(
        self, device_index: int, codec: str, stream: torch.cuda.Stream, width: int, height: int
    ) -> None:
        module = _codec_module()
        self.max_width, self.max_height = max(width, MIN_SESSION_SIZE), max(height, MIN_SESSION_SIZE)
        try:
            self._decoder = module.CreateDecoder(
                gpuid=device_index,
                codec=getattr(module.cudaVideoCodec, ENGINE_CODECS[codec]),
                cudacontext=0,
                cudastream=stream.cuda_stream,
                usedevicememory=True,
                maxwidth=self.max_width,
                maxheight=self.max_height,
            )
        except Exception as error:  # pybind11 gives several types for what the driver refuses.
            raise EngineError(str(error)) from error
        self._packet = module.PacketData()

    def fits(self, width: int, height: int) -> bool:
        return width <= self.max_width and height <= self.max_height

    def decode(self, data: bytes, number: int) -> list[tuple[int, Tensor]]:
        """Feed one packet, H.264 and HEVC in Annex B, and return what comes out: earlier packets' frames.

        Returns:
            (number of its packet, picture) of each frame; a picture is (rows, width) of NV12 or P016 on the
            GPU, and is overwritten by the next call in stream order.

        Raises:
            EngineError: the driver refuses the packet.
        """
        return self._feed(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0, len(data), number)

    def drain(self) -> list[tuple[int, Tensor]]:
        """End the stream: the frames that are still inside. Afterwards any keyframe may follow."""
        return self._feed(0, 0, 0)

    def _feed(self, address: int, size: int, number: int) -> list[tuple[int, Tensor]]:
        packet = self._packet
        packet.bsl_data, packet.bsl, packet.pts = address, size, number
        try:
            frames = self._decoder.Decode(packet)
        except Exception as error:  # As above.
            raise EngineError(str(error)) from error
        return [(frame.getPTS(), from_dlpack(frame)) for frame in frames]
