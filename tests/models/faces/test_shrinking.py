"""Shrinking by sums against PyTorch's own mean over areas."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, pad

from models.faces.shrinking import shrunk, sums_of

PICTURES = torch.randint(0, 256, (3, 37, 53, 3), dtype=torch.uint8, generator=torch.manual_seed(1))
BLACK = 40
"""Pixels around the pictures, in the comparison."""


def expected(owner: int, box: tuple[int, ...], size: tuple[int, int]) -> torch.Tensor:
    picture = pad(PICTURES[owner].permute(2, 0, 1).double(), (BLACK,) * 4)
    left, top, right, bottom = (value + BLACK for value in box)
    return adaptive_avg_pool2d(picture[:, top:bottom, left:right], size).float()


@pytest.mark.parametrize("size", [(12, 12), (24, 17), (1, 1), (60, 80)])
def test_boxes_of_all_pictures_at_once(size: tuple[int, int]) -> None:
    boxes = [(0, 0, 53, 37), (3, 5, 40, 20), (10, 10, 11, 11), (-20, -7, 30, 30), (45, 30, 80, 60)]
    owners = [0, 2, 1, 2, 0]
    small = shrunk(sums_of(PICTURES), torch.tensor(owners), torch.tensor(boxes), size)
    assert small.shape == (5, 3, *size)
    for one, owner, box in zip(small, owners, boxes, strict=True):
        torch.testing.assert_close(one, expected(owner, box, size), rtol=1e-5, atol=1e-3)


def test_the_largest_picture_does_not_overflow() -> None:
    white = torch.full((1, 2000, 4000, 1), 255, dtype=torch.uint8)
    whole = torch.tensor([[0, 0, 4000, 2000]])
    assert shrunk(sums_of(white), torch.tensor([0]), whole, (2, 2)).unique().tolist() == [255]


def test_a_box_outside_is_black() -> None:
    box = torch.tensor([[100, 100, 140, 140]])
    assert not shrunk(sums_of(PICTURES), torch.tensor([0]), box, (4, 4)).any()
