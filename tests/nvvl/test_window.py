"""Which part of a picture is given out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvvl.convert import turned
from nvvl.picture import Orientation
from nvvl.window import Window

ORIENTATIONS = [
    Orientation(transposed, flip_x, flip_y)
    for transposed in (False, True)
    for flip_x in (False, True)
    for flip_y in (False, True)
]


@pytest.mark.parametrize(
    ("scaled", "size", "left", "top"),
    [((171, 128), (112, 112), 30, 8), ((113, 115), (112, 112), 0, 2), ((112, 112), (112, 112), 0, 0)],
)
def test_the_middle_as_torchvision_rounds_it(
    scaled: tuple[int, int], size: tuple[int, int], left: int, top: int
) -> None:
    window = Window.centred(*size, scaled)
    assert (window.left, window.top) == (left, top)
    assert (window.columns, window.rows) == (slice(left, left + size[0]), slice(top, top + size[1]))


def test_without_a_resize_it_is_all_of_the_picture() -> None:
    assert Window.centred(30, 20) == Window.centred(30, 20, (30, 20))


@pytest.mark.parametrize("resize", [(29, 100), (100, 19)])
def test_an_output_larger_than_the_scaled_picture(resize: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"resize: {resize[0]} x {resize[1]}, must be .* 30 x 20"):
        Window.centred(30, 20, resize)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_cutting_before_turning_is_cutting_after_it(orientation: Orientation) -> None:
    window = Window.centred(4, 5, (9, 12))
    width, height = (12, 9) if orientation.transposed else (9, 12)
    stored = torch.from_numpy(np.arange(width * height).reshape(height, width))
    within = window.stored(orientation)
    assert (within.scaled_width, within.scaled_height) == (width, height)
    shown = turned(stored, orientation)[window.rows, window.columns]
    assert torch.equal(turned(stored[within.rows, within.columns], orientation), shown)
