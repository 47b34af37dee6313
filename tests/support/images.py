"""Images for tests: of every format, turned by Exif, and odd in ways that OpenCV does not write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from utils.tf_example import serialize_example
from utils.tfrecord import write_records

Pixels = npt.NDArray[np.uint8]


def picture(width: int = 120, height: int = 90, seed: int = 0) -> Pixels:
    """Smooth colours and some edges, as photos have them: (height, width, 3), RGB."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(smooth, (width // 8, height // 6), (width // 3, height // 2), (250, 30, 60), -1)
    return np.asarray(smooth, dtype=np.uint8)


def encode(pixels: npt.NDArray[Any], suffix: str = ".jpg", *options: int) -> bytes:
    """RGB, or grey, or with alpha, as OpenCV writes it."""
    stored = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    is_written, data = cv2.imencode(suffix, np.ascontiguousarray(stored), list(options))
    assert is_written
    return data.tobytes()


def decoded(data: bytes) -> Pixels:
    """As it is stored: (height, width, 3), RGB."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), flags), dtype=np.uint8)


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF structure that says nothing but this."""
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def turned(data: bytes, tiff: bytes) -> bytes:
    """The image with this Exif."""
    if data.startswith(b"\xff\xd8"):
        content = b"Exif\0\0" + tiff
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]
    if data.startswith(b"\x89PNG"):
        return data[:33] + png_chunk(b"eXIf", tiff) + data[33:]
    height, width = decoded(data).shape[:2]
    has_exif = 0x08
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    chunks = webp_chunk(b"VP8X", bytes([has_exif, 0, 0, 0]) + size) + data[12:] + webp_chunk(b"EXIF", tiff)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def with_palette(width: int, height: int) -> bytes:
    """A PNG of four colours in stripes, two bits a pixel."""
    header = struct.pack(">IIBBBBB", width, height, 2, 3, 0, 0, 0)
    colours = bytes([250, 30, 60, 0, 90, 200, 255, 255, 255, 10, 10, 10])
    rows = (b"\0" + b"\x1b" * (width // 4)) * height
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def with_frame(data: bytes, *, marker: int = 0xC0, bits: int = 8, num_components: int = 3) -> bytes:
    """A JPEG whose header says this of its picture."""
    start = data.index(b"\xff\xc0")
    (length,) = struct.unpack_from(">H", data, start + 2)
    size = data[start + 5 : start + 9]
    components = b"".join(bytes([number, 0x11, 0]) for number in range(num_components))
    frame = bytes([bits]) + size + bytes([num_components]) + components
    return (
        data[:start]
        + bytes([0xFF, marker])
        + struct.pack(">H", len(frame) + 2)
        + frame
        + data[start + 2 + length :]
    )


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """What is to be seen of pixels that are stored so; Exif 2.32, section 4.6.4."""
    turns: dict[int, Callable[[Pixels], Pixels]] = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: p.transpose(1, 0, 2)[:, ::-1],
        7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda p: p.transpose(1, 0, 2)[::-1],
    }
    return turns[orientation](pixels)


def write_images(folder: Path, num: int, width: int = 120, height: int = 90) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(num)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(picture(width, height, seed=number)))
    return paths


def write_tfrecord(path: Path, images: list[bytes]) -> Path:
    """A record for each, with its number as label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_records(
        path,
        [
            serialize_example(
                {
                    "image/encoded": data,
                    "image/class/label": number,
                    "image/class/text": f"class {number}".encode(),
                }
            )
            for number, data in enumerate(images)
        ],
    )
    return path
