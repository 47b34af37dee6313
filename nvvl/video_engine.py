"""One session of a GPU's video engine (NVDEC), through PyNvVideoCodec's packet interface.

The packets come from `nvvl.reader`, so that this decoder is fed exactly what the wanted frames need.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from nvvl import engine_feed
from nvvl.clips import Places
from nvvl.errors import EngineError
from nvvl.index import Run, VideoIndex
from nvvl.video_file import VideoFile

# FFmpeg's names and PyNvVideoCodec's. AV1 is left to the CPU: no GPU that this was tested on decodes it.
ENGINE_CODECS = {"h264": "H264", "hevc": "HEVC", "vp9": "VP9"}


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
        self.max_width, self.max_height = width, height
        try:
            self._decoder = module.CreateDecoder(
                gpuid=device_index,
                codec=getattr(module.cudaVideoCodec, ENGINE_CODECS[codec]),
                cudacontext=0,
                cudastream=stream.cuda_stream,
                usedevicememory=True,
                maxwidth=width,
                maxheight=height,
            )
        except Exception as error:  # pybind11 gives several types for what the driver refuses.
            raise EngineError(str(error)) from error
        self._packet = module.PacketData()

    def collect(self, file: VideoFile, index: VideoIndex, run: Run, places: Places, clips: Tensor) -> None:
        """As `nvvl.native.session.NativeSession.collect`."""
        engine_feed.collect(self, file, index, run, places, clips)

    def decode(self, data: bytes, pts: int) -> list[Any]:
        """Feed one packet, or several joined ones of H.264 or HEVC, which have to be in Annex B.

        Returns:
            The frames that come out, of earlier packets mostly, for `picture_of`. They are overwritten by
            the next call, in stream order.

        Raises:
            EngineError: the driver refuses the packet.
        """
        return self._feed(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0, len(data), pts)

    def drain(self) -> list[Any]:
        """End the stream: the frames that are still inside. Afterwards any keyframe may follow."""
        return self._feed(0, 0, 0)

    def pts_of(self, frame: Any) -> int:
        """The timestamp that was fed with the frame's packet, if that was fed alone.

        The driver hands timestamps out in ascending order, so they have to be in the order of display.
        """
        return int(frame.getPTS())

    def picture_of(self, frame: Any) -> Tensor:
        """(rows, width) of NV12 or P016 on the GPU. It costs 13 us of Python: ask for wanted frames alone."""
        return from_dlpack(frame)

    def _feed(self, address: int, size: int, pts: int) -> list[Any]:
        packet = self._packet
        packet.bsl_data, packet.bsl, packet.pts = address, size, pts
        try:
            return list(self._decoder.Decode(packet))
        except Exception as error:  # As above.
            raise EngineError(str(error)) from error
