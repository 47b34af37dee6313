"""Pictures of any size in rows of one size."""

from __future__ import annotations

import pytest
import torch

from models.faces.pictures import Pictures, fitted, layout, views


@pytest.mark.parametrize(
    ("size", "max_pixels", "expected"),
    [
        ((640, 480), 640 * 480, (640, 480)),
        ((1280, 960), 640 * 480, (640, 480)),
        ((641, 480), 640 * 480, (640, 479)),
        ((1, 10_000), 100, (1, 100)),
        ((10_000, 1), 100, (100, 1)),
        ((3, 3), 1, (1, 1)),
    ],
)
def test_a_picture_keeps_its_shape(size: tuple[int, int], max_pixels: int, expected: tuple[int, int]) -> None:
    assert fitted(*size, max_pixels) == expected


def test_pictures_are_written_into_their_rows() -> None:
    (spec,) = layout(3, 20)
    rows = torch.zeros(spec.shape, dtype=torch.uint8)
    pictures = views(rows, width=4, height=2)
    pictures[1, 1, 3] = torch.tensor([1, 2, 3])
    assert pictures.shape == (3, 2, 4, 3)
    assert rows[1, 7].tolist() == [1, 2, 3]
    assert int(rows.sum()) == 6


def test_boxes_are_in_pixels_of_the_original_and_end_at_its_edges() -> None:
    pictures = Pictures(width=100, height=50, original_width=400, original_height=100)
    assert pictures.in_original((10, 10, 20.26, 30)) == [40, 20, 81.0, 60]
    assert pictures.in_original((-3, -1, 101, 60)) == [0, 0, 400, 100]
