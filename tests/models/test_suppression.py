"""Suppression of all pictures at once against going through the boxes one by one."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from models.suppression import MOST_BOXES, suppress
from tests.support.plain_suppression import one_by_one


@pytest.mark.parametrize("share_of", ["union", "smaller"])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
def test_what_is_kept_is_what_one_by_one_keeps(
    share_of: Literal["union", "smaller"], threshold: float
) -> None:
    generator = torch.manual_seed(3)
    corners = torch.rand(300, 2, generator=generator) * 60
    boxes = torch.cat([corners, corners + 5 + torch.rand(300, 2, generator=generator) * 40], 1)
    scores = torch.rand(300, generator=generator)
    owner = torch.randint(0, 4, (300,), generator=generator) * 2  # two of the pictures have no box
    kept = suppress(boxes, scores, owner, threshold, share_of).tolist()
    assert kept == one_by_one(boxes.tolist(), scores.tolist(), owner.tolist(), threshold, share_of)
    assert 4 < len(kept) < 300


def test_without_boxes_there_are_none() -> None:
    assert suppress(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), 0.5, "union").tolist() == []


def test_of_very_many_boxes_the_best_are_looked_at() -> None:
    count = MOST_BOXES + 10
    corners = torch.arange(count)[:, None] * 2.0 + torch.zeros(2)
    scores = torch.linspace(0, 1, count)
    kept = suppress(torch.cat([corners, corners + 1], 1), scores, torch.zeros(count).long(), 0.5, "union")
    assert kept.tolist() == list(range(count - 1, 9, -1))


def test_fewer_can_be_looked_at() -> None:
    corners = torch.arange(5)[:, None] * 2.0 + torch.zeros(2)
    boxes, owner = torch.cat([corners, corners + 1], 1), torch.tensor([0, 0, 0, 1, 1])
    kept = suppress(boxes, torch.tensor([0.1, 0.3, 0.2, 0.4, 0.5]), owner, 0.5, "union", most_boxes=2)
    assert kept.tolist() == [1, 2, 4, 3]
