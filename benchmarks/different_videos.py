"""Many different files out of a few: copies that end in a box of padding with a number of their own.

Nothing that is known of one helps with another, and all of them decode alike.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def different_videos(samples: Sequence[Path], count: int, max_bytes: int) -> Iterator[list[Path]]:
    """So many MP4 files, fewer where they would take more than `max_bytes`, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="rnb-videos-") as folder:
        yield list(_copies(samples, Path(folder), count, max_bytes))


def _copies(samples: Sequence[Path], folder: Path, count: int, max_bytes: int) -> Iterator[Path]:
    contents = [sample.read_bytes() for sample in samples]
    for number, content in enumerate(itertools.islice(itertools.cycle(contents), count)):
        max_bytes -= len(content)
        if number and max_bytes < 0:
            return
        path = folder / f"{number}.mp4"
        path.write_bytes(content + struct.pack(">I4sQ", 16, b"free", number))
        yield path
