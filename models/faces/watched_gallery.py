"""A gallery that takes in people while a pipeline serves."""

from __future__ import annotations

import glob
import logging
import os
import time
from collections.abc import Callable

from models.faces.gallery import Gallery, open_gallery

Contents = frozenset[tuple[str, int, int]]


class WatchedGallery:
    """The gallery in a folder, opened again when its pictures are others.

    Args:
        every_s: how often its pictures are looked at; None: it stays as it was at first.
    """

    def __init__(
        self,
        folder: str,
        weights: str,
        every_s: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._weights, self._every_s, self._clock = folder, weights, every_s, clock
        self._contents = _contents(folder)
        self._gallery = open_gallery(folder, weights)
        self._looked_s = clock()

    def current(self) -> Gallery:
        """As it is now. While it cannot be opened, say for a picture without a face, as it was before."""
        if self._every_s is None or self._clock() - self._looked_s < self._every_s:
            return self._gallery
        contents = _contents(self._folder)
        if contents != self._contents:
            try:
                self._gallery = open_gallery(self._folder, self._weights)
            except (ValueError, OSError) as error:
                logging.getLogger(__name__).warning("the gallery stays as it was: %s", error)
                if isinstance(error, OSError):  # a picture that was taken away meanwhile, say
                    contents = self._contents  # so that the next look tries again
            self._contents = contents
        self._looked_s = self._clock()
        return self._gallery


def _contents(folder: str) -> Contents:
    """The name, the size and the time in ns of each picture."""
    found = set[tuple[str, int, int]]()
    # Not by Path.glob(), which raises where a folder is taken away while it looks.
    for name in glob.glob("*/*", root_dir=folder, include_hidden=True):
        try:
            status = os.stat(os.path.join(folder, name))
        except OSError:  # it was taken away meanwhile
            continue
        found.add((name, status.st_size, status.st_mtime_ns))
    return frozenset(found)
