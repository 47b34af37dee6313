"""Tiny videos of every awkward kind, encoded on the spot."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.support.encoding import written

WIDTH, HEIGHT = 96, 64
NUM_FRAMES = 40


@dataclass(frozen=True)
class Recipe:
    """How one file is made; everything has a plain default."""

    suffix: str = ".mp4"
    encoder: str = "libx264"
    pixel_format: str = "yuv420p"
    width: int = WIDTH
    height: int = HEIGHT
    num_frames: int = NUM_FRAMES
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    pts: Callable[[int], int] = int
    colorspace: int = 2
    color_range: int = 0
    rotation: int = 0
    hflip: bool = False
    patch: Callable[[bytes], bytes] | None = None


def x264(**params: int | str) -> dict[str, str]:
    joined = ":".join(f"{name.replace('_', '-')}={value}" for name, value in params.items())
    # Without mbtree: it reads uninitialised memory, so that no two files would be alike.
    return {"preset": "veryfast", "x264-params": f"scenecut=0:threads=1:mbtree=0:{joined}"}


def x265(**params: int | str) -> dict[str, str]:
    joined = ":".join(f"{name.replace('_', '-')}={value}" for name, value in params.items())
    return {"preset": "ultrafast", "x265-params": f"log-level=none:pools=none:frame-threads=1:{joined}"}


def skip_first(num_frames: int) -> Callable[[bytes], bytes]:
    """Moves the start of an MP4's only edit, as a cut without re-encoding does."""

    def patch(content: bytes) -> bytes:
        at = content.index(b"elst") + 16
        media_time = struct.unpack_from(">i", content, at)[0]
        return content[:at] + struct.pack(">i", media_time + num_frames * 512) + content[at + 4 :]

    return patch


def cut_in_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


B_FRAMES = x264(keyint=12, bframes=3, b_pyramid="normal", b_adapt=0)
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "15"}
VP9_HIDDEN = {"deadline": "good", "cpu-used": "5", "g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}

RECIPES = {
    "b_frames": Recipe(options=B_FRAMES),
    "no_b_frames": Recipe(options=x264(keyint=12, bframes=0)),
    "one_keyframe": Recipe(options=x264(keyint=250, bframes=2)),
    "all_intra": Recipe(options=x264(keyint=1)),
    "open_gop": Recipe(options=x264(keyint=12, bframes=3, open_gop=1, b_pyramid="normal", b_adapt=0)),
    "intra_refresh": Recipe(options=x264(keyint=12, bframes=0, intra_refresh=1)),
    "four_slices": Recipe(options=x264(keyint=12, bframes=3, slices=4)),
    "variable_rate": Recipe(options=B_FRAMES, pts=lambda i: i * 3 + (i * i) % 3),
    "late_start": Recipe(options=B_FRAMES, pts=lambda i: i + 500),
    "late_start_mkv": Recipe(".mkv", options=B_FRAMES, pts=lambda i: i + 500),
    "fragmented": Recipe(options=B_FRAMES, container_options={"movflags": "frag_keyframe+empty_moov"}),
    "negative_offsets": Recipe(options=B_FRAMES, container_options={"movflags": "negative_cts_offsets"}),
    "edit_list": Recipe(options=B_FRAMES, patch=skip_first(17)),
    "transport_stream": Recipe(".ts", options=B_FRAMES),
    "interlaced": Recipe(".ts", options=x264(keyint=12, bframes=2, interlaced=1)),
    "raw_stream": Recipe(".h264", options=B_FRAMES),
    "hevc": Recipe(encoder="libx265", options=x265(keyint=12, bframes=3, open_gop=1)),
    "hevc_layers": Recipe(encoder="libx265", options=x265(keyint=16, bframes=3, temporal_layers=3)),
    "hevc_10bit": Recipe(encoder="libx265", pixel_format="yuv420p10le", options=x265(keyint=12)),
    "vp9_odd_size": Recipe(".webm", "libvpx-vp9", width=61, height=47, options=VP9),
    "vp9_hidden_frames": Recipe(".webm", "libvpx-vp9", options=VP9_HIDDEN),
    "vp8": Recipe(".webm", "libvpx", options={"deadline": "realtime", "cpu-used": "8", "g": "20"}),
    "av1": Recipe(encoder="libsvtav1", width=128, height=96, options={"preset": "12", "g": "16"}),
    "mpeg4_avi": Recipe(".avi", "mpeg4", options={"g": "12", "bf": "2"}),
    "mpeg2_ts": Recipe(".ts", "mpeg2video", options={"g": "12", "bf": "2"}),
    "mjpeg_odd_size": Recipe(".avi", "mjpeg", "yuvj420p", width=61, height=47, color_range=2),
    "yuv422": Recipe(pixel_format="yuv422p", options=B_FRAMES),
    "yuv444": Recipe(pixel_format="yuv444p", options=B_FRAMES),
    "gray": Recipe(".mkv", "ffv1", "gray"),
    "rgb": Recipe(".mkv", "ffv1", "bgr0"),
    "bt709_full": Recipe(options=B_FRAMES, colorspace=1, color_range=2),
    "bt709_limited": Recipe(options=B_FRAMES, colorspace=1, color_range=1),
    "bt601_limited": Recipe(options=B_FRAMES, colorspace=6, color_range=1),
    "bt2020": Recipe(encoder="libx265", options=x265(keyint=12), colorspace=9, color_range=1),
    "rotated_90": Recipe(options=B_FRAMES, rotation=90),
    "rotated_180": Recipe(options=B_FRAMES, rotation=180),
    "rotated_270": Recipe(options=B_FRAMES, rotation=270),
    "mirrored": Recipe(options=B_FRAMES, hflip=True),
}


def make_all(folder: Path) -> dict[str, Path]:
    return {name: make(folder, name) for name in RECIPES}


def make(folder: Path, name: str, recipe: Recipe | None = None) -> Path:
    """Write a video, by default the one of this name in `RECIPES`, and return its path."""
    recipe = recipe or RECIPES[name]
    path = folder / f"{name}{recipe.suffix}"
    _encode(path, recipe)
    if recipe.patch is not None:
        path.write_bytes(recipe.patch(path.read_bytes()))
    return path


def scene(number: int, width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """RGB (height, width, 3): coloured waves that move, so that no two frames are alike."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin((x + 3 * number) / 9), np.sin((y - 2 * number) / 7), np.sin((x + y + 5 * number) / 11)]
    return np.stack([127.5 + 120 * wave for wave in waves], axis=-1).astype(np.uint8)


def sequential(path: Path) -> list[Any]:
    """Every frame of a file by the simplest means: open it, decode all of it."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def content(frame: Any) -> list[bytes]:
    """The pixels of a frame, without padding, to compare frames by."""
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        used = plane.width * (2 if frame.format.components[0].bits > 8 else 1)
        planes.append(np.ascontiguousarray(rows[:, :used]).tobytes())
    return planes


def _encode(path: Path, recipe: Recipe) -> None:
    with written(path, recipe.container_options) as container:
        stream = container.add_stream(recipe.encoder, rate=30, options=recipe.options)
        _describe(stream, recipe)
        for frame in _frames(recipe):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _describe(stream: Any, recipe: Recipe) -> None:
    stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, recipe.pixel_format
    context = stream.codec_context
    context.colorspace, context.color_range = recipe.colorspace, recipe.color_range
    if recipe.rotation or recipe.hflip:
        stream.set_display_rotation(recipe.rotation, recipe.hflip)


def _frames(recipe: Recipe) -> Sequence[Any]:
    frames = []
    for number in range(recipe.num_frames):
        picture = scene(number, recipe.width, recipe.height)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=recipe.pixel_format)
        frame.pts, frame.time_base = recipe.pts(number), Fraction(1, 30)
        frame.color_range = recipe.color_range
        frames.append(frame)
    return frames
