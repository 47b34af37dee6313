"""Pieces of an open file, by their places. Nothing is mapped: who reads the map of a file that somebody cuts
short meanwhile ends the process.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from nvvl.mp4_boxes import Numbers, piece_of

Bytes = npt.NDArray[np.uint8]

MAX_READ_BYTES = 1 << 20
"""A file up to that size is read whole, once, which takes less time than many pieces."""


class FilePieces:
    """Of a file of this size. Raises OddFile where it is shorter by now, if that is seen."""

    def __init__(self, file: int, num_bytes: int) -> None:
        self._file, self._whole = file, None
        if num_bytes <= MAX_READ_BYTES:
            self._whole = np.frombuffer(self.piece(0, num_bytes), np.uint8)

    def piece(self, begin: int, size: int) -> bytes:
        """Raises OddFile where the file ends before."""
        return piece_of(self._file, begin, size)

    def pieces(self, begins: Numbers, size: int) -> Bytes:
        """(pieces, size); behind the end of the file is anything."""
        if self._whole is not None:
            return self._whole.take(begins[:, None] + np.arange(size), mode="clip")
        pieces = (os.pread(self._file, size, begin).ljust(size, b"\0") for begin in begins.tolist())
        return np.frombuffer(b"".join(pieces), np.uint8).reshape(-1, size)
