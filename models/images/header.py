"""What the first bytes of an image say: its format, its size, how it is to be turned.

Whatever the decoders make of odd images, they are refused here, so that every decoder gets the same ones:
CMYK, more than 8 bits, lossless or arithmetic JPEG, animations, and JPEGs that are cut short.
Sources: ITU-T T.81, annex B; PNG (third edition), section 11; RFC 9649 (WebP); Exif 2.32, section 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from models.images.errors import ImageError

_PNG_START = b"\x89PNG\r\n\x1a\n"
_EXIF_START = b"Exif\0\0"
_MAX_SEGMENTS = 10_000
"""More of them are no image."""
_ORIENTATION, _SHORT = 0x0112, 3
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_START_OF_FRAME = range(0xC0, 0xD0)
_NO_FRAME = (0xC4, 0xC8, 0xCC)
"""Markers within that range that begin something else."""
_DECODABLE_FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive, all of Huffman's codes."""
_ANIMATED = 0x02


class Header(NamedTuple):
    """Of an image."""

    format: str
    """jpeg, png or webp."""
    width: int
    height: int
    """As it is stored."""
    orientation: int = 1
    """What Exif says of how it is to be turned, 1 to 8; 1: not at all."""

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as it is to be seen."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(name: str, data: bytes) -> Header:
    """The header of an image. Raises ImageError for what is none, or is refused."""
    try:
        header = _read(data)
    except (struct.error, IndexError):
        raise ImageError(f"{name}: cut short or damaged: its header is not whole") from None
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    if not header.width or not header.height:
        raise ImageError(f"{name}: damaged: it has {header.width}x{header.height} pixels")
    return header


def _read(data: bytes) -> Header:
    if data[:3] == b"\xff\xd8\xff":
        return _read_jpeg(data)
    if data[:8] == _PNG_START:
        return _read_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    raise ImageError("neither JPEG nor PNG nor WebP")


def _read_jpeg(data: bytes) -> Header:
    width = height = 0
    orientation = None
    for marker, start, end in _jpeg_segments(data):
        if marker in _START_OF_FRAME and marker not in _NO_FRAME:
            width, height = _read_frame(marker, data[start:end])
        elif marker == _APP1 and orientation is None and data[start : start + 6] == _EXIF_START:
            orientation = _read_orientation(data[start + 6 : end])
        elif marker == _START_OF_SCAN:
            if data.rfind(b"\xff\xd9", end) < 0:
                raise ImageError("cut short: a JPEG without its end")
            return Header("jpeg", width, height, orientation or 1)
    raise ImageError("damaged: a JPEG without a picture")


def _read_frame(marker: int, frame: bytes) -> tuple[int, int]:
    bits, height, width, num_components = struct.unpack_from(">BHHB", frame)
    if marker not in _DECODABLE_FRAMES:
        raise ImageError(
            f"a lossless, hierarchical or arithmetic JPEG (SOF{marker & 15}), which is not supported"
        )
    if bits != 8:
        raise ImageError(f"a JPEG of {bits} bits, which is not supported; 8 are")
    if num_components not in (1, 3):
        kind = "CMYK" if num_components == 4 else f"{num_components} components"
        raise ImageError(f"a JPEG in {kind}, which is not supported; convert it to RGB")
    return width, height


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker of each segment up to the picture, and where its content begins and ends."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        if data[position] != 0xFF:
            raise ImageError("damaged: a JPEG with no marker where one must be")
        while data[position] == 0xFF:  # any number of them may come before a marker
            position += 1
        (length,) = struct.unpack_from(">H", data, position + 1)
        end = position + 1 + length
        if length < 2 or end > len(data):
            raise ImageError("cut short or damaged: a segment of a JPEG is not whole")
        yield data[position], position + 3, end
        position = end


def _read_png(data: bytes) -> Header:
    length, kind, width, height, bits = struct.unpack_from(">I4sIIB", data, 8)
    if (length, kind) != (13, b"IHDR"):
        raise ImageError("damaged: a PNG without its header")
    if bits > 8:
        raise ImageError(f"a PNG of {bits} bits, which is not supported; up to 8 are")
    position, orientation = 8, 1
    for _ in range(_MAX_SEGMENTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            return Header("png", width, height, orientation)
        if kind == b"eXIf":
            orientation = _read_orientation(data[position + 8 : position + 8 + length])
        position += length + 12
    raise ImageError("damaged: a PNG without a picture")


def _read_webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise ImageError("damaged: a WebP without a key frame")
        width, height = struct.unpack_from("<HH", data, 26)
        return Header("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X":
        raise ImageError("damaged: a WebP without a picture")
    if data[20] & _ANIMATED:
        raise ImageError("an animated WebP, which is not supported")
    width, height = (int.from_bytes(data[start : start + 3], "little") + 1 for start in (24, 27))
    return Header("webp", width, height, _webp_orientation(data))


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(_MAX_SEGMENTS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            return _read_orientation(data[position + 8 : position + 8 + length].removeprefix(_EXIF_START))
        position += 8 + length + length % 2
    return 1


def _read_orientation(tiff: bytes) -> int:
    """What Exif says; 1 where it is damaged, since the picture is not."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(num_entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
