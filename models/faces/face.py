"""A face in a picture, and what is said of the faces of a request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from models.faces.pictures import Pictures
from rnb.contract import ToleranceResult


class Face(NamedTuple):
    """Where a face is, in pixels of the picture that was searched."""

    box: tuple[float, float, float, float]
    """x_min, y_min, x_max, y_max; the last two are beyond it."""
    score: float
    """How sure the detector is: of dlib's, from 0 on without a limit; of MTCNN, a probability."""


class Found(NamedTuple):
    """The payload of a request whose pictures were searched."""

    pictures: Pictures
    faces: tuple[tuple[Face, ...], ...]
    """Of each picture, from left to right."""


def share(one: Sequence[float], other: Sequence[float]) -> float:
    """What two boxes have in common, as a share of their union: 1 for the same, 0 for those apart."""
    sides = [min(one[2 + axis], other[2 + axis]) - max(one[axis], other[axis]) for axis in (0, 1)]
    common = math.prod(max(0.0, side) for side in sides)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


def result_of(pictures: Pictures, faces: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """A request's result: the faces of an image, or of each frame of a video."""
    if pictures.frames is None:
        return {"faces": faces[0]}
    each = zip(pictures.frames, faces, strict=True)
    return {"frames": [{"frame": frame, "faces": found} for frame, found in each]}


def described(pictures: Pictures, face: Face) -> dict[str, Any]:
    """A face as results have it, in pixels of the original."""
    return {"box": pictures.in_original(face.box), "score": round(face.score, 4)}


class FaceResult(ToleranceResult):
    """The same faces with the same names, whose boxes are about the same, as those of CPU and GPU are."""

    absolute, relative = 1.0, 0.01
