"""Which of an SSD's boxes are objects, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from models.suppression import suppress
from rnb.contract import ToleranceResult


class Rules(NamedTuple):
    """Which boxes count."""

    min_probability: float
    max_overlap: float
    """Of two boxes of a class that have more of their union in common the better one counts."""
    max_candidates: int
    """Of a class in a picture, the best, before overlaps are looked at."""
    max_objects: int
    """Of a picture, the best."""


class Object(NamedTuple):
    """Something found in a picture."""

    label: int
    probability: float
    box: tuple[float, ...]
    """x_min, y_min, x_max, y_max, in pixels of the picture that was searched."""


class DetectionResult(ToleranceResult):
    """The same objects in the same order, and about the same numbers, as CPU and GPU give them."""

    absolute, relative = 0.1, 0.01


def find_objects(probabilities: torch.Tensor, boxes: torch.Tensor, rules: Rules) -> list[list[Object]]:
    """The objects of each picture, the likeliest first.

    Args:
        probabilities: (pictures, boxes, classes); class 0 is the background.
        boxes: (pictures, boxes, 4)
    """
    picture, place, label = (probabilities[..., 1:] > rules.min_probability).nonzero(as_tuple=True)
    label = label + 1
    scores, found = probabilities[picture, place, label], boxes[picture, place]
    owner = picture * probabilities.shape[2] + label
    kept = suppress(found, scores, owner, rules.max_overlap, "union", rules.max_candidates)
    kept = kept[scores[kept].argsort(descending=True, stable=True)]
    each = (values[kept].tolist() for values in (picture, label, scores, found))
    objects: list[list[Object]] = [[] for _ in probabilities]
    for number, kind, probability, box in zip(*each, strict=True):
        if len(objects[number]) < rules.max_objects:
            objects[number].append(Object(kind, probability, tuple(box)))
    return objects


def described(objects: Sequence[Object], names: Sequence[str], cut: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a request, in pixels of the original image.

    Args:
        names: by label.
        cut: what the loader of images says that it took (models/images/cut.py).
    """
    each = [
        {
            "class": names[one.label],
            "probability": round(one.probability, 4),
            "box": dict(zip(("x_min", "y_min", "x_max", "y_max"), _in_original(one.box, cut), strict=True)),
        }
        for one in objects
    ]
    return {"count": len(each), "objects": each}


def _in_original(box: Sequence[float], cut: Mapping[str, Any]) -> Iterator[float]:
    left, top, width, _ = cut["crop"]
    x_min, y_min, x_max, y_max = box
    if cut["mirrored"]:
        x_min, x_max = width - x_max, width - x_min
    across, down = (side / resized for side, resized in zip(cut["size"], cut["resized"], strict=True))
    places = ((x_min + left) * across, (y_min + top) * down, (x_max + left) * across, (y_max + top) * down)
    return (round(place, 2) for place in places)
