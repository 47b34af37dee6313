"""Videos whose frames show their own number: codecs x structures x containers, and what splicing makes of
them.

The number stands in the picture as 16 bars, black for 0 and white for 1, over a scene that moves. So a frame
that was decoded says which one it is, whatever a container or a decoder says of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.support.encoding import written

WIDTH, HEIGHT = 128, 96
NUM_FRAMES = 48
BITS, BAR_HEIGHT = 16, 32
BAR_WIDTH = WIDTH // BITS

Packets = list[Any]


@dataclass(frozen=True)
class Coded:
    """How a stream is encoded."""

    encoder: str
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)


def x264(preset: str = "veryfast", **params: int | str) -> dict[str, str]:
    joined = ":".join(f"{name.replace('_', '-')}={value}" for name, value in params.items())
    return {"preset": preset, "x264-params": f"scenecut=0:threads=1:mbtree=0:crf=18:{joined}"}


def x265(**params: int | str) -> dict[str, str]:
    joined = ":".join(f"{name.replace('_', '-')}={value}" for name, value in params.items())
    return {
        "preset": "ultrafast",
        "x265-params": f"log-level=none:pools=none:frame-threads=1:crf=18:{joined}",
    }


H264 = {
    "b3": Coded("libx264", options=x264(keyint=12, bframes=3, b_pyramid="normal", b_adapt=0)),
    "b1": Coded("libx264", options=x264(keyint=12, bframes=1, b_adapt=0, b_pyramid="none")),
    "b0": Coded("libx264", options=x264(keyint=12, bframes=0)),
    "open": Coded("libx264", options=x264(keyint=12, bframes=3, open_gop=1, b_pyramid="normal", b_adapt=0)),
    "long": Coded("libx264", options=x264(keyint=250, bframes=2)),
    "intra": Coded("libx264", options=x264(keyint=1)),
    "slices": Coded("libx264", options=x264(keyint=12, bframes=3, slices=4)),
    "refresh": Coded("libx264", options=x264(keyint=12, bframes=0, intra_refresh=1)),
    "fields": Coded("libx264", options=x264(keyint=12, bframes=2, interlaced=1)),
    "flagged": Coded("libx264", options=x264(keyint=12, bframes=2, fake_interlaced=1)),
    "refs": Coded("libx264", options=x264(keyint=24, bframes=5, ref=5, b_pyramid="strict", b_adapt=2)),
    "deep": Coded("libx264", "yuv420p10le", x264(keyint=12, bframes=3)),
}
HEVC = {
    "b3": Coded("libx265", options=x265(keyint=12, bframes=3, b_adapt=0)),
    "open": Coded("libx265", options=x265(keyint=12, bframes=3, open_gop=1, b_adapt=0)),
    "b0": Coded("libx265", options=x265(keyint=12, bframes=0)),
    "layers": Coded("libx265", options=x265(keyint=16, bframes=3, temporal_layers=3)),
    "deep": Coded("libx265", "yuv420p10le", x265(keyint=12, bframes=4)),
}
MPEG4 = {
    "b2": Coded("mpeg4", options={"g": "12", "bf": "2", "qscale": "3"}),
    "b0": Coded("mpeg4", options={"g": "12", "bf": "0"}),
    "b1": Coded("mpeg4", options={"g": "10", "bf": "1"}),
}
MPEG2 = {
    "b2": Coded("mpeg2video", options={"g": "12", "bf": "2"}),
    "b0": Coded("mpeg2video", options={"g": "12", "bf": "0"}),
    "fields": Coded("mpeg2video", options={"g": "12", "bf": "2", "flags": "+ildct+ilme"}),
}
REALTIME = {"deadline": "realtime", "cpu-used": "8", "g": "15", "b": "1M"}
VP8 = {"plain": Coded("libvpx", options=REALTIME)}
VP9 = {
    "plain": Coded("libvpx-vp9", options=REALTIME),
    "hidden": Coded(
        "libvpx-vp9",
        options={
            "deadline": "good",
            "cpu-used": "5",
            "g": "20",
            "auto-alt-ref": "1",
            "lag-in-frames": "16",
            "b": "1M",
        },
    ),
}
AV1 = {"plain": Coded("libsvtav1", options={"preset": "12", "g": "16"})}

MATRIX: list[tuple[str, dict[str, Coded], tuple[str, ...]]] = [
    ("h264", H264, (".mp4", ".mov", ".mkv", ".ts", ".avi", ".asf", ".mxf", ".flv", ".mpg", ".nut", ".h264")),
    ("hevc", HEVC, (".mp4", ".mov", ".mkv", ".ts", ".flv", ".nut", ".hevc")),
    ("mpeg4", MPEG4, (".avi", ".mp4", ".mkv", ".asf", ".mov", ".nut", ".3gp")),
    ("mpeg2", MPEG2, (".ts", ".mpg", ".vob", ".mxf", ".avi", ".mkv", ".mp4", ".m2v")),
    ("mpeg1", {"b2": Coded("mpeg1video", options={"g": "12", "bf": "2"})}, (".mpg", ".avi", ".ts")),
    ("vp8", VP8, (".webm", ".mkv", ".ivf", ".avi")),
    ("vp9", VP9, (".webm", ".mkv", ".mp4", ".ivf", ".avi")),
    ("av1", AV1, (".mp4", ".mkv", ".webm", ".ivf", ".obu")),
    ("mjpeg", {"plain": Coded("mjpeg", "yuvj420p")}, (".avi", ".mov", ".mkv", ".mp4")),
    ("ffv1", {"plain": Coded("ffv1")}, (".mkv", ".avi", ".nut")),
    ("prores", {"plain": Coded("prores_ks", "yuv422p10le")}, (".mov", ".mkv", ".mxf")),
    ("huffyuv", {"plain": Coded("huffyuv", "yuv422p")}, (".avi", ".nut")),
    ("png", {"plain": Coded("png", "rgb24")}, (".mov", ".avi")),
    ("raw", {"plain": Coded("rawvideo")}, (".avi", ".nut")),
    ("wmv", {"2": Coded("wmv2"), "1": Coded("wmv1")}, (".asf", ".avi")),
    ("msmpeg4", {"v3": Coded("msmpeg4"), "v2": Coded("msmpeg4v2")}, (".avi", ".asf")),
    ("h263", {"plain": Coded("h263")}, (".avi", ".mov", ".3gp")),
    ("h263p", {"plain": Coded("h263p")}, (".avi",)),
    ("flv1", {"plain": Coded("flv")}, (".flv", ".avi")),
    ("utvideo", {"plain": Coded("utvideo")}, (".avi", ".nut")),
    ("jpeg2000", {"plain": Coded("jpeg2000")}, (".mkv", ".mxf", ".mov")),
]


def picture(number: int) -> npt.NDArray[np.uint8]:
    """RGB (HEIGHT, WIDTH, 3) of frame `number`."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    waves = [np.sin((x + 3 * number) / 9), np.sin((y - 2 * number) / 7), np.sin((x + y + 5 * number) / 11)]
    scene = np.stack([127.5 + 100 * wave for wave in waves], axis=-1).astype(np.uint8)
    bars = [235 if number >> bit & 1 else 16 for bit in range(BITS)]
    scene[:BAR_HEIGHT] = np.repeat(np.asarray(bars, np.uint8), BAR_WIDTH)[None, :, None]
    return scene


def number_in(frame: Any) -> int:
    """The number that a decoded PyAV frame shows."""
    gray = frame.to_ndarray(format="gray")[4 : BAR_HEIGHT - 4]
    bars = gray.reshape(len(gray), BITS, BAR_WIDTH)[:, :, 2:-2].mean(axis=(0, 2))
    return sum(1 << bit for bit, level in enumerate(bars) if level > 125)


def encode(
    path: Path,
    coded: Coded,
    numbers: Iterable[int] = range(NUM_FRAMES),
    *,
    pts: Callable[[int], int] = int,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a video that shows these numbers."""
    with written(path, container_options) as container:
        stream = container.add_stream(coded.encoder, rate=30, options=coded.options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, coded.pixel_format
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(
                format=coded.pixel_format
            )
            frame.pts, frame.time_base = pts(place), Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remux(
    source: Path,
    target: Path,
    change: Callable[[Packets], Packets] = list,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Copy the packets of one file into another container, changed on the way."""
    with av.open(str(source)) as reader, av.open(str(target), "w", options=container_options or {}) as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        packets = [packet for packet in reader.demux(reader.streams.video[0]) if packet.size]
        for packet in change(packets):
            packet.stream = stream
            writer.mux(packet)
    return target


def made_up_stamps(packets: Packets) -> Packets:
    """Presentation times in the order of storage, as a copy out of AVI has them."""
    step = max(1, packets[0].duration or 1)
    for number, packet in enumerate(packets):
        packet.pts = packet.dts = number * step
    return packets


def sequential(path: Path) -> list[Any]:
    """Every frame of a file by the simplest means: decode all of it, go on behind what is damaged."""
    frames: list[Any] = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            with contextlib.suppress(av.error.InvalidDataError, av.error.BlockingIOError, av.error.EOFError):
                frames += packet.decode()
    return frames


def splice(target: Path, parts: Sequence[Path]) -> Path:
    """One file behind the other, byte for byte."""
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target
