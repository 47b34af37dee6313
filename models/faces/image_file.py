"""Image files: finding those that a run plays, and reading one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.faces.pictures import fitted

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}
Image = npt.NDArray[np.uint8]


class ImagePathIterator:
    """The images under `root`, laid out as root/label/image or flat, sorted by path, over and over.

    Raises ValueError when `root` is not a folder or holds no image.
    """

    extensions = EXTENSIONS

    def __init__(self, root: str = "data/faces/views") -> None:
        if not os.path.isdir(root):
            raise ValueError(
                f"{root}: not a folder of images; 'make data' prepares samples in data/faces/views"
            )
        files = itertools.chain(Path(root).iterdir(), Path(root).glob("*/*"))
        self.images = sorted(str(file) for file in files if file.suffix.lower() in EXTENSIONS)
        if not self.images:
            raise ValueError(
                f"{root}: no image in it ({', '.join(sorted(EXTENSIONS))}), flat or as label/image"
            )

    def __iter__(self) -> Iterator[str]:
        return itertools.cycle(self.images)


def read_image(path: str, max_pixels: int) -> tuple[Image, tuple[int, int]]:
    """An image (height, width, 3), RGB, of at most `max_pixels`, and the width and height of the original.

    It is turned upright as its EXIF data says.

    Raises:
        ValueError: the file cannot be read; one line.
    """
    try:
        picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or 'cannot be decoded'}") from None
    if picture is None:
        raise ValueError(f"{path}: is no image that OpenCV can decode")
    original = picture.shape[1], picture.shape[0]
    if (size := fitted(*original, max_pixels)) != original:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), original
