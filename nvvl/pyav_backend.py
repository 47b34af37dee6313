"""Decoding on the CPU with FFmpeg, through PyAV; planes are scaled with OpenCV."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import av
import av.error
import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from nvvl.clips import Clips, places_of
from nvvl.convert import coefficients
from nvvl.damage import Damage
from nvvl.errors import DamagedPacket, VideoError
from nvvl.index import HIDDEN, Run, VideoIndex
from nvvl.picture import Color, Orientation
from nvvl.reader import packets_of
from nvvl.video_file import VideoFile
from nvvl.window import Window

PLANAR_YUV = re.compile(r"yuv[aj]?4\d\dp(9|10|12|14|16)?(le)?")
GRAY = re.compile(r"gray(9|10|12|14|16)?(le)?")
Plane = npt.NDArray[Any]


class PyavBackend:
    """Decodes clips into a tensor on the CPU. One instance serves one thread."""

    name = "pyav"

    def __init__(self, window: Window, *, conceal: bool = False) -> None:
        self._scaler, self._conceal = PictureScaler(window), conceal

    def decode(self, file: VideoFile, index: VideoIndex, clips: Clips, out: Tensor) -> int:
        """Fill `out` (num_clips, 3, frames, height, width) with these frames.

        Returns:
            How many of the frames are not as they were encoded; always 0 without `conceal`.

        Raises:
            MissingFrames: the file does not give a frame that its index has.
            VideoError: the file cannot be read, or its pixels cannot be converted.
        """
        places = places_of(clips)
        # In NumPy: PyTorch would start threads for work of some microseconds.
        pictures = out.numpy()
        damage = Damage(index, conceal=self._conceal)
        for number, frame in frames_of(file, index, places.of_frame, damage):
            picture = self._scaler.convert(frame, file.filename)
            if pictures.dtype == np.uint8:
                picture += 0.5  # The assignment cuts off the fraction.
            for clip, place in places.take(number):
                pictures[clip, :, place] = picture
        num_concealed = damage.settle(places)
        places.check_complete()
        return num_concealed

    def close(self) -> None:
        """Nothing is held between calls."""


def frames_of(
    file: VideoFile, index: VideoIndex, wanted: Iterable[int], damage: Damage
) -> Iterator[tuple[int, Any]]:
    """(index, frame) of each wanted frame that can be decoded, as PyAV frames, in any order.

    When all have come, `damage` knows which of them not to trust.
    """
    for run in index.plan(wanted):
        yield from frames_of_run(file, index, run, damage)


def frames_of_run(file: VideoFile, index: VideoIndex, run: Run, damage: Damage) -> Iterator[tuple[int, Any]]:
    """As `frames_of`, those of one run, in the order of display; each is decoded when it is asked for."""
    for number, frame in decoded_frames(file, index, run, damage):
        if number in run.frames:
            yield number, frame
        if index.counted and number == max(run.frames):
            break


def decoded_frames(file: VideoFile, index: VideoIndex, run: Run, damage: Damage) -> Iterator[tuple[int, Any]]:
    """The same with those that nobody wants and that are decoded all the same."""
    return _numbered(index, _decoded(file, index, run, damage))


def _decoded(file: VideoFile, index: VideoIndex, run: Run, damage: Damage) -> Iterator[Any]:
    file.restart_decoder(index.decoder_setup)
    for packet in itertools.chain(packets_of(file, index, run), [None]):
        try:
            frames = file.decode(packet)
        except DamagedPacket:
            damage.found(run.last if packet is None else packet.pts)
            continue
        for frame in frames:
            if frame.is_corrupt:
                damage.found(frame.pts)
            yield frame


def _numbered(index: VideoIndex, frames: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    if index.counted:
        return enumerate(frames)
    return ((_frame_of(index, frame.pts), frame) for frame in frames)


def _frame_of(index: VideoIndex, packet: int | None) -> int:
    """The frame of the packet that a decoder says a frame is from."""
    return HIDDEN if packet is None else index.frame_of_packet[packet]


class PictureScaler:
    """Scales, crops and colour-converts frames."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def convert(self, frame: Any, filename: str) -> npt.NDArray[np.float32]:
        """A PyAV frame as RGB in 0..255, float32 of (3, height, width), by the rules of `nvvl.convert`.

        Raises:
            VideoError: the frame's pixel format, colour matrix or rotation is not supported.
        """
        orientation = Orientation.of(frame)
        if orientation is None:
            raise VideoError(filename, "is rotated by an angle that is no multiple of 90 degrees")
        window = self._window.stored(orientation)
        if frame.format.is_rgb or frame.format.has_palette:
            rgb = _scaled(frame.to_ndarray(format="rgb24"), window)
            return _turned(rgb.transpose(2, 0, 1).astype(np.float32), orientation)
        return _turned(_from_yuv(frame, window, filename), orientation)


def _from_yuv(frame: Any, window: Window, filename: str) -> npt.NDArray[np.float32]:
    color = Color.of(frame)
    if color is None:
        raise VideoError(filename, f"colour matrix {int(frame.colorspace)} (ITU-T H.273) is not supported")
    frame = _planar(frame, filename)
    bit_depth = frame.format.components[0].bits
    codes = np.empty((3, window.height, window.width), np.float32)
    planes = list(_planes(frame))
    if len(planes) < len(codes):
        codes[1:] = 1 << (bit_depth - 1)  # Neutral, as the format has no chroma.
    for place, plane in zip(codes, planes, strict=False):
        place[:] = _scaled(plane, window)
    matrix, offset = _coefficients(color, bit_depth)
    rgb = matrix @ codes.reshape(3, -1)
    rgb += offset
    return np.clip(rgb, 0, 255, out=rgb).reshape(codes.shape)


@lru_cache
def _coefficients(color: Color, bit_depth: int) -> tuple[Plane, Plane]:
    """(3, 3) and (3, 1)"""
    coeffs = coefficients(color, bit_depth)
    matrix, offset = np.asarray(coeffs.matrix, np.float32), np.asarray(coeffs.offset, np.float32)
    return matrix.reshape(3, 3), offset[:, None]


def _scaled(plane: Plane, window: Window) -> Plane:
    size = (window.scaled_width, window.scaled_height)
    scaled: Plane = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return scaled[window.rows, window.columns]


def _planar(frame: Any, filename: str) -> Any:
    """The frame in a layout with a plane for each component, or converted to one that loses nothing."""
    name = frame.format.name
    if PLANAR_YUV.fullmatch(name) or GRAY.fullmatch(name):
        return frame
    deep = frame.format.components[0].bits > 8
    try:
        return frame.reformat(format="yuv444p16le" if deep else "yuv444p")
    except (ValueError, av.error.FFmpegError) as error:
        raise VideoError(filename, f"pixel format {name} is not supported") from error


def _planes(frame: Any) -> Iterator[Plane]:
    """Views of the frame's luma and chroma planes, without the padding of their rows."""
    dtype = np.dtype(np.uint16 if frame.format.components[0].bits > 8 else np.uint8)
    for plane in frame.planes[:3]:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
        yield rows[:, : plane.width]


def _turned(picture: npt.NDArray[np.float32], orientation: Orientation) -> npt.NDArray[np.float32]:
    picture = picture[:, :: -1 if orientation.flip_y else 1, :: -1 if orientation.flip_x else 1]
    return np.ascontiguousarray(picture.transpose(0, 2, 1) if orientation.transposed else picture)
