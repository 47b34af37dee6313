"""Decoding on a GPU's video engine: frames never visit the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nvvl import convert
from nvvl.clips import Clips, Places, places_of
from nvvl.convert import Surfaces, coefficients
from nvvl.damage import Damage
from nvvl.engines import Engine, capabilities, open_engine
from nvvl.errors import EngineError, UnsupportedVideo, VideoError
from nvvl.index import StreamInfo, VideoIndex
from nvvl.video_file import VideoFile
from nvvl.window import Window

# FFmpeg's names of the 4:2:0 formats that the engine writes, and their bits.
BIT_DEPTHS = {"yuv420p": 8, "yuvj420p": 8, "yuv420p10le": 10}
# P016 keeps the codes of 10-bit video in the high bits of its 16.
P016_BITS = 16


Fallback = Callable[[VideoFile, VideoIndex, Clips, Tensor], int]


class NvdecBackend:
    """Decodes clips into a tensor on a GPU. One instance serves one thread; several work side by side.

    Args:
        fallback: decodes what the engine cannot (other codecs, 4:2:2, interlaced video, odd sizes); without
            one, such a file is a VideoError.
    """

    def __init__(
        self, device: torch.device, window: Window, fallback: Fallback | None, *, conceal: bool = False
    ) -> None:
        torch.cuda.init()
        self._device = device
        self._window = window
        self._fallback, self._conceal = fallback, conceal
        self.name = "nvdec, pyav" if fallback else "nvdec"
        # The decoder writes on this stream and the conversion reads on it; callers' streams wait for it.
        self._stream = torch.cuda.Stream(device)
        self._engines: dict[tuple[str, int], Engine] = {}
        self._staging = torch.empty(0, dtype=torch.uint8, device=device)
        self._convert = _fastest_convert()

    def decode(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> int:
        """Fill `out` (num_clips, 3, frames, height, width) with these frames.

        Returns:
            How many of the frames are concealed, as far as the container or the index knows of damage.

        Raises:
            MissingFrames: the file does not give a frame that its index has.
            VideoError: the file cannot be read, or not be decoded by this engine and there is no fallback.
        """
        try:
            self._check(index)
            return self._decode_on_engine(file, index, clips, out)
        except UnsupportedVideo as error:
            if self._fallback is None:
                raise VideoError(file.filename, f"is not for the GPU's video engine: {error}") from error
            return self._fallback(file, index, clips, out)
        except EngineError as error:
            raise VideoError(file.filename, f"the GPU's video engine failed: {error}") from error

    def close(self) -> None:
        """Give back the engine's sessions and memory. May be called twice."""
        self._engines.clear()
        self._staging = self._staging.new_empty(0)

    def _check(self, index: VideoIndex) -> None:
        """Whether this engine decodes the file, and decodes it as the CPU would."""
        info = index.info
        if info.pixel_format not in BIT_DEPTHS:
            raise UnsupportedVideo(f"pixel format {info.pixel_format}")
        if info.interlaced:
            raise UnsupportedVideo("it is interlaced")
        if info.width % 2 or info.height % 2:
            raise UnsupportedVideo(f"odd size {info.width}x{info.height}")
        if info.color is None or info.orientation is None:
            raise UnsupportedVideo("its colour matrix or rotation is unusual")
        if not index.is_placed:
            raise UnsupportedVideo("its packets do not show one frame each")
        self._check_limits(info)

    def _check_limits(self, info: StreamInfo) -> None:
        bit_depth = BIT_DEPTHS[info.pixel_format]
        limits = capabilities(self._device.index, info.codec, bit_depth)
        if not limits.get("width_max"):
            raise UnsupportedVideo(f"this GPU's does not decode {bit_depth}-bit {info.codec}")
        fits = limits["width_min"] <= info.width <= limits["width_max"]
        if not (fits and limits["height_min"] <= info.height <= limits["height_max"]):
            raise UnsupportedVideo(f"size {info.width}x{info.height}")

    def _decode_on_engine(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> int:
        caller = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(caller)
        try:
            with torch.cuda.stream(self._stream):
                places = places_of(clips)
                surfaces = self._surfaces(index.info, num_surfaces=len(clips) * out.shape[2])
                shape = (len(clips), out.shape[2], *surfaces.data.shape[1:])
                self._collect(file, index, places, surfaces.data.view(shape))
                num_concealed = Damage(index, conceal=self._conceal).settle(places)
                places.check_complete()
                self._convert_all(surfaces, out, index.info)
                return num_concealed
        finally:
            caller.wait_stream(self._stream)

    def _convert_all(self, surfaces: Surfaces, out: Tensor, info: StreamInfo) -> None:
        assert info.color is not None, "_check refuses such a file"
        assert info.orientation is not None, "_check refuses such a file"
        bit_depth = BIT_DEPTHS[info.pixel_format]
        code_scale = 1 if bit_depth == 8 else 1 << (P016_BITS - bit_depth)
        coeffs = coefficients(info.color, bit_depth, code_scale)
        self._convert(surfaces, out, coeffs, info.orientation, self._window)

    def _surfaces(self, info: StreamInfo, num_surfaces: int) -> Surfaces:
        """Memory for the frames of one request, kept from request to request and grown as needed."""
        num_bytes = 1 if BIT_DEPTHS[info.pixel_format] == 8 else 2
        rows = info.height + info.height // 2
        size = num_surfaces * rows * info.width * num_bytes
        if self._staging.numel() < size:
            self._staging = torch.empty(size, dtype=torch.uint8, device=self._device)
        dtype = torch.uint8 if num_bytes == 1 else torch.uint16
        data = self._staging[:size].view(dtype).view(num_surfaces, rows, info.width)
        return Surfaces(data, info.width, info.height, chroma_row=info.height)

    def _collect(self, file: VideoFile, index: VideoIndex, places: Places, clips: Tensor) -> None:
        """Decode, and copy each wanted frame to its surfaces in (clip, frame, rows, width)."""
        engine = self._engine(index.info)
        try:
            for run in index.plan(places.of_frame):
                engine.collect(file, index, run, places, clips)
        except BaseException:
            self._discard(engine)
            raise

    def _engine(self, info: StreamInfo) -> Engine:
        key = (info.codec, BIT_DEPTHS[info.pixel_format])
        engine = self._engines.get(key)
        if engine is None or info.width > engine.max_width or info.height > engine.max_height:
            # The smaller session goes first: there may be no memory for both.
            self._engines.pop(key, None)
            engine = open_engine(self._device.index, *key, self._stream, info.width, info.height)
            self._engines[key] = engine
        return engine

    def _discard(self, engine: Engine) -> None:
        """Drop a session that may still hold pictures of a file that went wrong."""
        self._engines = {key: kept for key, kept in self._engines.items() if kept is not engine}


def _fastest_convert() -> Any:
    try:
        from nvvl import convert_triton
    except ImportError:
        return convert.convert
    return convert_triton.convert
