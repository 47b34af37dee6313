"""Draws what a result says into the picture that it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

COLOURS = ((40, 90, 230), (60, 160, 40), (200, 100, 20), (150, 50, 170), (20, 150, 200))
"""Blue, green, red; a name always has the same one."""


class Mark(NamedTuple):
    """A box, and what is written at it."""

    box: tuple[float, float, float, float]
    """x_min, y_min, x_max, y_max in pixels."""
    name: str
    share: float
    """How sure it is, or how near to a known face."""

    @property
    def text(self) -> str:
        return f"{self.name} {self.share:.2f}"


def marks_of(result: Any) -> list[Mark]:
    """The objects or faces of a result; none where it has none, as that of a classifier."""
    told = result if isinstance(result, dict) else {}
    objects = [
        Mark((box["x_min"], box["y_min"], box["x_max"], box["y_max"]), one["class"], one["probability"])
        for one in told.get("objects", ())
        for box in [one["box"]]
    ]
    faces = [_of_face(one) for one in told.get("faces", ())]
    return objects + faces


def _of_face(face: Mapping[str, Any]) -> Mark:
    """A face that was named has a distance; one of a detector alone its score."""
    left, top, right, bottom = face["box"]
    name = (face["name"] or "unknown") if "name" in face else "face"
    return Mark((left, top, right, bottom), name, face.get("distance", face["score"]))


def draw(picture: bytes, marks: Sequence[Mark]) -> bytes:
    """A PNG of an encoded picture, upright, with its marks. Raises ValueError for what is no picture."""
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) if picture else None
    if pixels is None:
        raise ValueError("this is no picture that can be shown")
    width = max(1, round(max(pixels.shape[:2]) / 300))
    scale = max(0.4, max(pixels.shape[:2]) / 1200)
    for mark in marks:
        left, top, right, bottom = (round(place) for place in mark.box)
        colour = COLOURS[sum(mark.name.encode()) % len(COLOURS)]
        cv2.rectangle(pixels, (left, top), (right, bottom), colour, width)
        place = (left, max(top - 2 * width, round(25 * scale)))
        cv2.putText(pixels, mark.text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width)
    is_written, data = cv2.imencode(".png", pixels)
    assert is_written
    return data.tobytes()
