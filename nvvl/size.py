"""The size of a video's pictures."""

from __future__ import annotations

import os

from nvvl.errors import VideoError
from nvvl.indexing import index_of
from nvvl.video_file import VideoFile


def shown_size(filename: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of the pictures as they are shown, by the first one.

    Raises:
        VideoError: the file cannot be used.
    """
    with VideoFile(os.fspath(filename)) as file:
        info = index_of(file).info
    if info.orientation is None:
        raise VideoError(file.filename, "is rotated by an angle that is no multiple of 90 degrees")
    return (info.height, info.width) if info.orientation.transposed else (info.width, info.height)
