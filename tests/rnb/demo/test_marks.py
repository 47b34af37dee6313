"""What is drawn into a picture is what its result says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.demo.marks import COLOURS, Mark, draw, marks_of
from tests.support.images import decoded, encode, exif, turned

OBJECT = {
    "class": "dog",
    "probability": 0.9,
    "box": {"x_min": 1.0, "y_min": 2.0, "x_max": 30.0, "y_max": 40.0},
}


@pytest.mark.parametrize(
    ("result", "marks"),
    [
        ({"count": 1, "objects": [OBJECT]}, [Mark((1.0, 2.0, 30.0, 40.0), "dog", 0.9)]),
        (
            {"faces": [{"box": [1, 2, 3, 4], "score": 0.99, "name": "ann", "distance": 0.2}]},
            [Mark((1, 2, 3, 4), "ann", 0.2)],
        ),
        (
            {"faces": [{"box": [1, 2, 3, 4], "score": 0.99, "name": None, "distance": 0.7}]},
            [Mark((1, 2, 3, 4), "unknown", 0.7)],
        ),
        ({"faces": [{"box": [1, 2, 3, 4], "score": 0.99}]}, [Mark((1, 2, 3, 4), "face", 0.99)]),
        ({"label": 3, "score": 0.5}, []),
        ([], []),
    ],
)
def test_the_marks_of_a_result(result: Any, marks: list[Mark]) -> None:
    assert marks_of(result) == marks


def test_a_box_is_drawn_where_it_is() -> None:
    black = np.zeros((200, 300, 3), np.uint8)
    drawn = decoded(draw(encode(black, ".png"), [Mark((50, 60, 150, 160), "cat", 0.5)]))
    colour = COLOURS[sum(b"cat") % len(COLOURS)][::-1]
    assert drawn.shape == black.shape
    assert tuple(drawn[100, 50]) == tuple(drawn[160, 100]) == colour
    assert not drawn[100, 100].any()
    assert not drawn[165:].any()
    assert drawn[40:60, 50:150].any(), "its name stands above"


def test_a_picture_is_drawn_upright_as_boxes_are() -> None:
    lying = turned(encode(np.zeros((100, 300, 3), np.uint8)), exif(6))
    assert decoded(draw(lying, [])).shape == (300, 100, 3)


@pytest.mark.parametrize("data", [b"", b"text"])
def test_what_is_no_picture_is_said(data: bytes) -> None:
    with pytest.raises(ValueError, match="no picture"):
        draw(data, [])
