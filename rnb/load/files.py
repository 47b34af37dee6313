"""Finding the files that are sent to a server, whatever is in them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path


class FileIterator:
    """The files under `root`, flat or as root/label/file, sorted by path, over and over.

    Raises ValueError when `root` is not a folder or holds no file.
    """

    def __init__(self, root: str) -> None:
        if not os.path.isdir(root):
            raise ValueError(f"--data {root}: not a folder")
        folders = [Path(root), *(path for path in Path(root).iterdir() if path.is_dir())]
        found = (Path(entry.path) for folder in folders for entry in os.scandir(folder) if entry.is_file())
        self.files = sorted(str(path) for path in found if not path.name.startswith("."))
        if not self.files:
            raise ValueError(f"--data {root}: no file in it, flat or as label/file")

    def __iter__(self) -> Iterator[str]:
        return itertools.cycle(self.files)
