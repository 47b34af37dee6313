"""What the first bytes of an image say."""

from __future__ import annotations

import random

import numpy as np
import pytest

from models.images.errors import ImageError
from models.images.header import Header, read_header
from tests.support.images import encode, exif, picture, turned, webp_chunk, with_frame

JPEG = encode(picture(120, 90))
PNG = encode(picture(120, 90), ".png")
WEBP = encode(picture(120, 90), ".webp", 64, 80)
LOSSLESS_WEBP = encode(picture(120, 90), ".webp")
FORMATS = {"jpeg": JPEG, "png": PNG, "webp": WEBP}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (JPEG, Header("jpeg", 120, 90)),
        (encode(picture(120, 90), ".jpg", 2, 1), Header("jpeg", 120, 90)),  # progressive
        (encode(picture(120, 90)[..., 0]), Header("jpeg", 120, 90)),  # grey
        (JPEG + bytes(100), Header("jpeg", 120, 90)),
        (PNG, Header("png", 120, 90)),
        (encode(np.dstack([picture(120, 90)] * 2)[..., :4], ".png"), Header("png", 120, 90)),  # with alpha
        (WEBP, Header("webp", 120, 90)),
        (LOSSLESS_WEBP, Header("webp", 120, 90)),
    ],
)
def test_a_header_tells_format_and_size(data: bytes, expected: Header) -> None:
    assert read_header("a", data) == expected


def test_webp_is_of_both_kinds() -> None:
    assert (WEBP[12:16], LOSSLESS_WEBP[12:16]) == (b"VP8 ", b"VP8L")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_says_how_an_image_is_turned(kind: str, order: str, orientation: int) -> None:
    header = read_header("a", turned(FORMATS[kind], exif(orientation, order)))
    assert header == Header(kind, 120, 90, orientation)
    assert header.upright == ((90, 120) if orientation > 4 else (120, 90))


@pytest.mark.parametrize(
    "tiff", [exif(0), exif(9), exif(6)[:12], exif(6)[:19], b"II*\0\xff\xff\xff\xff", b"??", b""]
)
def test_damaged_exif_turns_nothing(tiff: bytes) -> None:
    assert read_header("a", turned(JPEG, tiff)).orientation == 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "neither JPEG nor PNG nor WebP"),
        (b"GIF89a" + bytes(50), "neither JPEG nor PNG nor WebP"),
        (with_frame(JPEG, num_components=4), "a JPEG in CMYK, which is not supported; convert it to RGB"),
        (with_frame(JPEG, num_components=2), "a JPEG in 2 components"),
        (with_frame(JPEG, bits=12), "a JPEG of 12 bits"),
        (with_frame(JPEG, marker=0xC3), r"a lossless, hierarchical or arithmetic JPEG \(SOF3\)"),
        (with_frame(JPEG, marker=0xC9), r"a lossless, hierarchical or arithmetic JPEG \(SOF9\)"),
        (encode(picture(120, 90).astype(np.uint16) * 257, ".png"), "a PNG of 16 bits"),
        (JPEG[:-2], "cut short: a JPEG without its end"),
        (JPEG[: len(JPEG) // 2], "cut short: a JPEG without its end"),
        (JPEG[:200], "cut short or damaged"),
        (JPEG[:3], "cut short or damaged: its header is not whole"),
        (PNG[:30], "cut short or damaged: its header is not whole|damaged"),
        (PNG[:8] + bytes(40), "damaged: a PNG without its header"),
        (WEBP[:20], "cut short or damaged|damaged"),
        (WEBP[:12] + b"ABCD" + WEBP[16:], "damaged: a WebP without a picture"),
        (b"RIFF\0\0\0\0WEBP" + webp_chunk(b"VP8X", b"\x02" + bytes(9)), "an animated WebP"),
        (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 20_000, "damaged: a JPEG without a picture"),
        (b"\xff\xd8\xff\xd9", "cut short or damaged"),
    ],
)
def test_what_is_no_image_or_an_odd_one_is_refused_in_a_line(data: bytes, problem: str) -> None:
    with pytest.raises(ImageError, match=rf"^some/image: ({problem})") as refusal:
        read_header("some/image", data)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "data", [turned(JPEG, exif(6)), turned(PNG, exif(6)), turned(WEBP, exif(6)), LOSSLESS_WEBP]
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    draw, num_read = random.Random(1), 0
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(draw.randint(1, 6)):
            damaged[draw.randrange(min(len(data), 300))] = draw.randrange(256)
        try:
            header = read_header("a", bytes(damaged[: draw.choice((len(data), draw.randrange(len(data))))]))
        except ImageError:
            continue
        num_read += 1
        assert min(header.width, header.height) > 0
        assert 1 <= header.orientation <= 8
    assert 0 < num_read < 1000
