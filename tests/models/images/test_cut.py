"""Which part of an image is taken."""

from __future__ import annotations

from typing import Any

import pytest

from models.images.cut import Cut, cut_of
from models.images.errors import ImageError
from models.images.header import Header
from models.images.options import CutOptions


def cut(width: int, height: int, request_id: int = 0, orientation: int = 1, **options: Any) -> Cut:
    header = Header("jpeg", width, height, orientation)
    return cut_of("a.jpg", header, CutOptions.model_validate(options), request_id)


@pytest.mark.parametrize(
    ("size", "resized", "place"),
    [
        ((500, 375), (341, 256), (58, 16)),
        ((375, 500), (256, 341), (16, 58)),
        ((256, 256), (256, 256), (16, 16)),
        ((100, 101), (256, 258), (16, 17)),
    ],
)
def test_the_shorter_side_is_scaled_and_the_middle_cut_out(
    size: tuple[int, int], resized: tuple[int, int], place: tuple[int, int]
) -> None:
    found = cut(*size)
    assert (found.upright, found.resized, (found.left, found.top)) == (size, resized, place)
    assert (found.size, found.is_mirrored) == ((224, 224), False)


def test_exif_turns_before_anything_else() -> None:
    assert cut(500, 375, orientation=6) == cut(375, 500)
    assert cut(500, 375, orientation=3) == cut(500, 375)


def test_both_sides_can_be_given() -> None:
    found = cut(500, 375, resize=[300, 200], crop=[100, 200])
    assert (found.resized, found.left, found.top, found.size) == ((300, 200), 100, 0, (100, 200))


def test_what_is_random_depends_on_the_seed_and_the_request_alone() -> None:
    options: dict[str, Any] = {"crop_position": "random", "mirror": 0.5}
    cuts = [cut(500, 375, number, **options) for number in range(200)]
    assert cuts == [cut(500, 375, number, **options) for number in range(200)]
    assert cuts != [cut(500, 375, number, seed=1, **options) for number in range(200)]
    assert cut(500, 375, 3, seed=-1, **options) == cut(500, 375, 3, seed=-1, **options)


def test_random_crops_reach_every_place_and_half_are_mirrored() -> None:
    options: dict[str, Any] = {"resize": [230, 226], "crop_position": "random", "mirror": 0.5}
    cuts = [cut(500, 375, number, **options) for number in range(2000)]
    assert {found.left for found in cuts} == set(range(7))
    assert {found.top for found in cuts} == set(range(3))
    assert 0.45 < sum(found.is_mirrored for found in cuts) / 2000 < 0.55
    assert not any(cut(500, 375, number, mirror=0).is_mirrored for number in range(20))
    assert all(cut(500, 375, number, mirror=1).is_mirrored for number in range(20))


@pytest.mark.parametrize(("size", "scaled"), [((20_000, 20_000), "256x256"), ((1, 60_000), "256x15360000")])
def test_an_image_that_is_too_large_is_refused(size: tuple[int, int], scaled: str) -> None:
    with pytest.raises(
        ImageError, match=rf"^a.jpg: {size[0]}x{size[1]} pixels, {scaled} when scaled; max_pixels is"
    ):
        cut(*size)


def test_it_is_described_as_json() -> None:
    described = cut(500, 375, crop=[20, 10], mirror=1).described()
    assert described == {
        "size": [500, 375],
        "resized": [341, 256],
        "crop": [160, 123, 20, 10],
        "mirrored": True,
    }
