"""What encoded bytes are, and how large a picture they hold: as real encoders write them."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pytest

from rnb.serving.media import check_picture, suffix_of, types_of
from rnb.serving.refusal import TOO_LARGE, Refusal

WIDTH, HEIGHT = 123, 45


def encoded(suffix: str, *flags: int) -> bytes:
    picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    done, data = cv2.imencode(suffix, picture, flags)
    assert done
    return bytes(data)


KINDS = {
    "jpeg": encoded(".jpg"),
    "progressive jpeg": encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg with restarts": encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "jpeg with fill bytes": b"\xff\xd8\xff\xff" + encoded(".jpg")[3:],
    "png": encoded(".png"),
    "webp": encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "lossless webp": encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "extended webp": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + bytes([WIDTH - 1, 0, 0, HEIGHT - 1, 0, 0]),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_pixels_are_counted_before_it_is_decoded(data: bytes) -> None:
    check_picture(data, WIDTH * HEIGHT)
    with pytest.raises(Refusal, match=f"{WIDTH} × {HEIGHT}") as caught:
        check_picture(data, WIDTH * HEIGHT - 1)
    assert caught.value.kind == TOO_LARGE


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_what_is_cut_short_is_told_or_left_to_the_decoder(data: bytes) -> None:
    for length in range(60):
        with contextlib.suppress(Refusal):  # anything else would be a fault of ours
            check_picture(data[:length], WIDTH * HEIGHT)


def test_what_is_no_picture_is_let_through() -> None:
    for data in (b"", b"\0" * 100, b"\0\0\0\x18ftypmp42", b"RIFF", b"RIFF\0\0\0\0AVI LIST"):
        check_picture(data, 1)


def test_what_files_are_called() -> None:
    starts = {
        ".jpg": KINDS["jpeg"],
        ".png": KINDS["png"],
        ".webp": KINDS["webp"],
        ".mp4": b"\0\0\0\x18ftypisom",
        ".mov": b"\0\0\0\x14ftypqt  ",
        ".avi": b"RIFF\0\0\0\0AVI LIST",
        ".webm": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm",
        ".mkv": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska",
        "": b"something else",
    }
    assert {suffix_of(data): data for data in starts.values()} == starts


def test_the_types_are_those_of_the_files_that_it_plays() -> None:
    assert list(types_of({".jpg", ".png", ".gif"})) == ["image/jpeg", "image/png"]
    assert "video/mp4" in types_of(None)
