"""Finding the images that a run plays."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from utils.tfrecord import read_index

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}
RECORDS = re.compile(r".+(\.(tfrecords?|tfrec)(-\d+-of-\d+)?|-\d{5}-of-\d{5})")
"""Names of TFRecord files."""
ADVICE = "'make images' prepares samples in data/images"


class ImageIterator:
    """The images under `root`, sorted by path, over and over.

    `root` is a folder of JPEG, PNG, WebP and TFRecord files, flat or as root/label/file, or a TFRecord file,
    of which each record is an image. Raises ValueError when there is none.
    """

    extensions = EXTENSIONS

    def __init__(self, root: str) -> None:
        self.images = list(itertools.chain.from_iterable(map(_images, _files(Path(root)))))
        if not self.images:
            raise ValueError(
                f"{root}: no image in it ({', '.join(sorted(EXTENSIONS))}, or TFRecord files), flat or as"
                f" label/image; {ADVICE}"
            )

    def __iter__(self) -> Iterator[str]:
        return itertools.cycle(self.images)


def _files(root: Path) -> list[str]:
    if root.is_file():
        return [str(root)]
    if not root.is_dir():
        raise ValueError(f"{root}: neither a folder of images nor a TFRecord file; {ADVICE}")
    folders = [root, *(path for path in root.iterdir() if path.is_dir())]
    return sorted(entry.path for folder in folders for entry in os.scandir(folder) if entry.is_file())


def _images(path: str) -> list[str]:
    """The payloads for a file: its path, or each of its records."""
    if RECORDS.fullmatch(path):
        return [str(place) for place in read_index(path)]
    return [path] if os.path.splitext(path)[1].lower() in EXTENSIONS else []
