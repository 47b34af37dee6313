"""The boxes of an MP4 or MOV file (ISO/IEC 14496-12, 4.2), read strictly."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

HEADER, LONG_HEADER = 8, 16
SIZE_AND_KIND = struct.Struct(">I4s")
MAX_MOOV_BYTES = 64 << 20
TOP_LEVEL = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"))
PADDING = frozenset((b"free", b"skip"))


class OddFile(Exception):
    """The file is not one of the plain kind whose tables are believed; a demuxer has to read it."""


class Box(NamedTuple):
    """The content of a box: `data[begin:end]`."""

    kind: bytes
    data: bytes
    begin: int
    end: int

    @property
    def content(self) -> bytes:
        return self.data[self.begin : self.end]

    def children(self, allowed: Iterable[bytes], skip: int = 0) -> dict[bytes, Box]:
        """The boxes in this one behind `skip` bytes, by kind; padding is left out.

        Raises:
            OddFile: one is not `allowed`, comes twice, or does not end where it should.
        """
        found: dict[bytes, Box] = {}
        for box in self.each(skip):
            if box.kind in PADDING:
                continue
            if box.kind not in allowed or box.kind in found:
                raise OddFile
            found[box.kind] = box
        return found

    def each(self, skip: int = 0) -> Iterator[Box]:
        """All boxes in this one, in order. Raises as `children`."""
        _, data, begin, end = self
        place = begin + skip
        while place < end:
            if place + HEADER > end:
                raise OddFile
            size, kind = SIZE_AND_KIND.unpack_from(data, place)
            if size < HEADER or place + size > end:
                raise OddFile
            yield Box(kind, data, place + HEADER, place + size)
            place += size

    def kind_at(self, skip: int) -> bytes:
        """The four letters that stand at `skip`."""
        return self.data[self.begin + skip : min(self.begin + skip + 4, self.end)]

    def numbers(self, layout: str, skip: int = 0) -> tuple[int, ...]:
        """What stands at `skip`, by a layout of `struct` in big-endian; OddFile where the box is shorter."""
        if self.begin + skip + struct.calcsize(f">{layout}") > self.end:
            raise OddFile
        return struct.unpack_from(f">{layout}", self.data, self.begin + skip)


@dataclass(frozen=True)
class Layout:
    """What stands at the top of a file: 'moov', and where the contents of each 'mdat' begin and end."""

    moov: Box
    media: tuple[tuple[int, int], ...]
    num_bytes: int

    def holds(self, begins: Numbers, ends: Numbers) -> bool:
        """Whether each of these pieces of the file is in one 'mdat'."""
        held = [(begins >= begin) & (ends <= end) for begin, end in self.media]
        return bool(np.logical_or.reduce(held).all())


def layout_of(file: int, num_bytes: int) -> Layout:
    """Reads the headers at the top of an open file of this size, and its 'moov'.

    Raises:
        OddFile: there is more in it than that, or less: fragments, say, or a piece is missing.
    """
    place, media, moov = 0, [], []
    while place < num_bytes:
        kind, begin, end = _top_level_box(file, place, num_bytes)
        if (kind == b"ftyp") != (place == 0):
            raise OddFile
        if kind == b"moov":
            moov.append(_moov(file, begin, end))
        elif kind == b"mdat":
            media.append((begin, end))
        place = end
    if len(moov) != 1 or not media:
        raise OddFile
    return Layout(moov[0], tuple(media), num_bytes)


def _top_level_box(file: int, place: int, num_bytes: int) -> tuple[bytes, int, int]:
    header = os.pread(file, LONG_HEADER, place)
    if len(header) < HEADER:
        raise OddFile
    size, kind = SIZE_AND_KIND.unpack_from(header)
    begin = place + HEADER
    if size == 1 and kind == b"mdat" and len(header) == LONG_HEADER:
        (size,), begin = struct.unpack_from(">Q", header, HEADER), place + LONG_HEADER
    if kind not in TOP_LEVEL or place + size > num_bytes or begin > place + size:
        raise OddFile
    return kind, begin, place + size


def _moov(file: int, begin: int, end: int) -> Box:
    if end - begin > MAX_MOOV_BYTES:
        raise OddFile
    content = piece_of(file, begin, end - begin)
    return Box(b"moov", content, 0, len(content))


def piece_of(file: int, begin: int, size: int) -> bytes:
    """Of an open file. Raises OddFile where it ends before."""
    piece = os.pread(file, size, begin)
    if len(piece) < size:
        raise OddFile
    return piece
