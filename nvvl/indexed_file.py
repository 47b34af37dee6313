"""The name of a video file that brings its index along, so that the next process need not make it again."""

from __future__ import annotations

import os

from nvvl.index import VideoIndex
from nvvl.index_cache import IndexFolder, IndexKey
from nvvl.indexing import index_of
from nvvl.video_file import VideoFile


class IndexedFile(str):
    """A file's name with an index, `frames`, of the file in the state that `key` says.

    It is a name like any other, and can be pickled. `RnBLoader.decode_into` makes no index of a file that is
    still in that state.
    """

    key: IndexKey
    frames: VideoIndex

    @property
    def num_bytes(self) -> int:
        """At most how many it has when it is pickled."""
        names = (self, self.frames.filename, self.key.path)
        return self.frames.num_bytes + sum(len(os.fsencode(name)) for name in names)

    @classmethod
    def of(cls, filename: str | os.PathLike[str], folder: IndexFolder | None = None) -> IndexedFile:
        """Raises VideoError: the file cannot be used."""
        named = cls(os.fspath(filename))
        with VideoFile(str(named)) as file:
            named.key = IndexKey.of(file.filename, conceal=file.conceal, decode_all=False)
            with named.key.held(file.filename):
                named.frames = index_of(file, folder)
        return named
