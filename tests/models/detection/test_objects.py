"""Which boxes are objects, against going through them one by one; and where they are in the original."""

from __future__ import annotations

import pytest
import torch

from models.detection.objects import DetectionResult, Object, Rules, described, find_objects
from tests.support.plain_suppression import one_by_one

RULES = Rules(min_probability=0.2, max_overlap=0.5, max_candidates=300, max_objects=100)
WHOLE = {"size": [640, 480], "resized": [320, 320], "crop": [0, 0, 320, 320], "mirrored": False}
NAMES = ("background", "cat", "dog")


def drawn(
    num_pictures: int = 3, num_boxes: int = 200, num_classes: int = 4
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(num_pictures, num_boxes, num_classes, generator=generator)
    corners = torch.rand(num_pictures, num_boxes, 2, generator=generator) * 100
    sides = 10 + torch.rand(num_pictures, num_boxes, 2, generator=generator) * 60
    return logits.softmax(-1), torch.cat([corners, corners + sides], -1)


def expected(probabilities: torch.Tensor, boxes: torch.Tensor, rules: Rules) -> list[Object]:
    """Of one picture, class by class and box by box."""
    found = []
    for label in range(1, probabilities.shape[1]):
        scores = probabilities[:, label].tolist()
        best = sorted(range(len(scores)), key=lambda box: -scores[box])[: rules.max_candidates]
        likely = [box for box in best if scores[box] > rules.min_probability]
        kept = one_by_one(
            [boxes[box].tolist() for box in likely],
            [scores[box] for box in likely],
            [0] * len(likely),
            rules.max_overlap,
            "union",
        )
        found += [Object(label, scores[likely[one]], tuple(boxes[likely[one]].tolist())) for one in kept]
    return sorted(found, key=lambda one: -one.probability)[: rules.max_objects]


@pytest.mark.parametrize(
    "rules",
    [
        RULES,
        RULES._replace(min_probability=0.6),
        RULES._replace(max_overlap=0.1),
        RULES._replace(max_candidates=5),
        RULES._replace(max_objects=7),
    ],
)
def test_the_objects_are_those_found_one_by_one(rules: Rules) -> None:
    probabilities, boxes = drawn()
    told = find_objects(probabilities, boxes, rules)
    assert told == [expected(*picture, rules) for picture in zip(probabilities, boxes, strict=True)]
    assert all(told)


def test_there_may_be_none_in_some_or_all_pictures() -> None:
    probabilities, boxes = drawn()
    probabilities[1] = torch.tensor([1.0, 0, 0, 0])
    told = find_objects(probabilities, boxes, RULES)
    assert told[1] == []
    assert told[2] == expected(probabilities[2], boxes[2], RULES)
    assert find_objects(probabilities, boxes, RULES._replace(min_probability=1.0)) == [[], [], []]


def test_what_is_said_of_them() -> None:
    told = described([Object(2, 0.87654321, (16.0, 32.0, 160.0, 320.0))], NAMES, WHOLE)
    assert told == {
        "count": 1,
        "objects": [
            {
                "class": "dog",
                "probability": 0.8765,
                "box": {"x_min": 32.0, "y_min": 48.0, "x_max": 320.0, "y_max": 480.0},
            }
        ],
    }
    assert described([], NAMES, WHOLE) == {"count": 0, "objects": []}


def test_a_crop_and_a_mirror_are_undone() -> None:
    cut = {"size": [400, 200], "resized": [200, 100], "crop": [50, 10, 100, 80], "mirrored": True}
    box = described([Object(1, 0.5, (0.0, 0.0, 10.0, 20.0))], NAMES, cut)["objects"][0]["box"]
    assert box == {"x_min": 280.0, "y_min": 20.0, "x_max": 300.0, "y_max": 60.0}


def test_results_agree_when_they_are_about_the_same() -> None:
    one = described([Object(1, 0.5, (16.0, 32.0, 160.0, 320.0))], NAMES, WHOLE)
    near = described([Object(1, 0.51, (16.01, 32.0, 160.9, 320.0))], NAMES, WHOLE)
    other = described([Object(2, 0.5, (16.0, 32.0, 160.0, 320.0))], NAMES, WHOLE)
    elsewhere = described([Object(1, 0.5, (18.0, 32.0, 160.0, 320.0))], NAMES, WHOLE)
    assert DetectionResult.agree(one, near)
    assert not DetectionResult.agree(one, other)
    assert not DetectionResult.agree(one, elsewhere)
    assert not DetectionResult.agree(one, described([], NAMES, WHOLE))
