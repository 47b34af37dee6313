"""Finding the videos that a run plays."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

DEFAULT_FOLDER = "data/videos"
EXTENSIONS = {".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov"}


class VideoPathIterator:
    """The videos under `root`, laid out as root/label/video or flat, sorted by path, over and over.

    Raises ValueError when `root` is not a folder or holds no video.
    """

    extensions = EXTENSIONS
    """Of the files that it finds; a server goes by them."""

    def __init__(self, root: str = DEFAULT_FOLDER) -> None:
        if not os.path.isdir(root):
            raise ValueError(f"{root}: not a folder of videos; 'make data' prepares samples in data/videos")
        files = [
            *Path(root).iterdir(),
            *(file for label in Path(root).glob("*/") for file in label.iterdir()),
        ]
        self.videos = sorted(str(file) for file in files if file.suffix.lower() in EXTENSIONS)
        if not self.videos:
            raise ValueError(
                f"{root}: no video in it ({', '.join(sorted(EXTENSIONS))}), flat or as label/video"
            )

    def __iter__(self) -> Iterator[str]:
        return itertools.cycle(self.videos)


class NoVideos:
    """In the place of a list of videos: requests that need none."""

    def __iter__(self) -> Iterator[str]:
        yield "nothing"
