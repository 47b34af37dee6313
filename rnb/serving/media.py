"""What encoded bytes are, and how large a picture they say they hold, without decoding them.

Sources: PNG (third edition), section 11.2.1; ITU-T T.81, annex B; RFC 9649 (WebP); ISO/IEC 14496-12 (MP4);
RFC 8794 (EBML).
"""

from __future__ import annotations

import struct
from collections.abc import Collection

from rnb.serving.refusal import INVALID, TOO_LARGE, WRONG_TYPE, Refusal

SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "video/quicktime": ".mov",
    "video/x-msvideo": ".avi",
}
"""Of files, by the media type of their content."""
_START_OF_FRAME = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_ALONE = (0x01, *range(0xD0, 0xD9))
"""Markers of a JPEG without content."""


def types_of(extensions: Collection[str] | None) -> dict[str, str]:
    """Those of SUFFIXES that a pipeline takes which plays files with these extensions; None: all."""
    return {one: suffix for one, suffix in SUFFIXES.items() if extensions is None or suffix in extensions}


def check_type(content_type: str, taken: Collection[str]) -> None:
    """Raises Refusal for a media type that the pipeline does not take."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in taken:
        raise Refusal(f"Content-Type '{media_type:.80}': it may be {', '.join(taken)}", WRONG_TYPE)


def suffix_of(data: bytes) -> str:
    """What a file with these bytes ends in; '' where its first bytes say nothing."""
    if data[:3] == b"\xff\xd8\xff":
        return ".jpg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return ".png"
    if data[:4] == b"RIFF":
        return {b"WEBP": ".webp", b"AVI ": ".avi"}.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return ".mov" if data[8:12] == b"qt  " else ".mp4"
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return ".webm" if b"webm" in data[:64] else ".mkv"
    return ""


def check_picture(data: bytes, max_pixels: int) -> None:
    """Raises Refusal for an image with more pixels, or a header that is cut short; others are let through."""
    try:
        width, height = _size_of(data)
    except (struct.error, IndexError):
        raise Refusal("the image is cut short: its header is not whole", INVALID) from None
    if width * height > max_pixels:
        raise Refusal(f"the image has {width} × {height} pixels; it may have {max_pixels:,}", TOO_LARGE)


def _size_of(data: bytes) -> tuple[int, int]:
    """Width and height of an image; of anything else 0, 0."""
    suffix = suffix_of(data)
    if suffix == ".png":
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if suffix == ".jpg":
        return _jpeg_size(data)
    if suffix == ".webp":
        return _webp_size(data)
    return 0, 0


def _jpeg_size(data: bytes) -> tuple[int, int]:
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        if marker == 0xFF:
            position += 1
        elif marker in _ALONE:
            position += 2
        else:
            position += 2 + max(2, struct.unpack_from(">H", data, position + 2)[0])
    return 0, 0


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
