"""Decoding on a GPU's video engine: frames never visit the host."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nvvl import engine_pictures, engines
from nvvl.clips import Clips, Places, places_of
from nvvl.convert import Surfaces
from nvvl.damage import Damage
from nvvl.engines import Engine, open_engine
from nvvl.errors import EngineError, UnsupportedVideo, VideoError
from nvvl.index import StreamInfo, VideoIndex
from nvvl.video_file import VideoFile
from nvvl.window import Window

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
        self.name = f"{engines.name()}, pyav" if fallback else engines.name()
        # The decoder writes on this stream and the conversion reads on it; callers' streams wait for it.
        self._stream = torch.cuda.Stream(device)
        self._engines: dict[tuple[str, int], Engine] = {}
        self._staging = torch.empty(0, dtype=torch.uint8, device=device)

    def decode(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> int:
        """Fill `out` (num_clips, 3, frames, height, width) with these frames.

        Returns:
            How many of the frames are concealed, as far as the container or the index knows of damage.

        Raises:
            MissingFrames: the file does not give a frame that its index has.
            VideoError: the file cannot be read, or not be decoded by this engine and there is no fallback.
        """
        try:
            engine_pictures.check(index, self._device)
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
                engine_pictures.convert(surfaces, out, index.info, self._window)
                return num_concealed
        finally:
            caller.wait_stream(self._stream)

    def _surfaces(self, info: StreamInfo, num_surfaces: int) -> Surfaces:
        """Memory for the frames of one request, kept from request to request and grown as needed."""
        size = num_surfaces * engine_pictures.num_bytes(info)
        if self._staging.numel() < size:
            self._staging = torch.empty(size, dtype=torch.uint8, device=self._device)
        return engine_pictures.surfaces(self._staging[:size], info)

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
        key = (info.codec, engine_pictures.BIT_DEPTHS[info.pixel_format])
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
