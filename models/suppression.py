"""Non-maximum suppression of the boxes of many pictures at once."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

MOST_BOXES = 1024
"""Of a picture; the best of more. It bounds the memory, which grows with the square."""


def suppress(
    boxes: Tensor,
    scores: Tensor,
    owner: Tensor,
    threshold: float,
    share_of: Literal["union", "smaller"],
    most_boxes: int = MOST_BOXES,
) -> Tensor:
    """Keep each box that overlaps no better one that is kept; only boxes of one picture meet.

    All pictures are worked on at once: whether a box stays is asked again, knowing the answers of before,
    until no answer changes. That ends with what going through the boxes one by one would give.

    Args:
        boxes: (boxes, 4) x_min, y_min, x_max, y_max.
        scores: (boxes,)
        owner: (boxes,) the number of each box's picture.
        threshold: the overlap that is too much, as a share of the union, or of the smaller box.
        most_boxes: of a picture that are looked at, the best.

    Returns:
        The numbers of the boxes that are kept, by picture, then by score.
    """
    if not len(boxes):
        return torch.zeros(0, dtype=torch.int64, device=boxes.device)
    order = scores.argsort(descending=True, stable=True)
    order = order[owner[order].argsort(stable=True)]
    counts = owner.bincount()
    rank = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[owner[order]]
    order, rank = order[rank < most_boxes], rank[rank < most_boxes]
    place = (owner[order], rank)
    is_there = torch.zeros((len(counts), int(rank.max()) + 1), dtype=torch.bool, device=boxes.device)
    is_there[place] = True
    dense = boxes.new_zeros((*is_there.shape, 4))
    dense[place] = boxes[order]
    is_too_much = (overlaps(dense, share_of) > threshold).triu(1)  # [better, worse]
    kept = is_there
    while True:
        after = is_there & ~(is_too_much & kept[:, :, None]).any(1)
        if torch.equal(after, kept):
            return order[kept[place]]
        kept = after


def overlaps(boxes: Tensor, share_of: Literal["union", "smaller"]) -> Tensor:
    """Of each two of (…, boxes, 4): what they have in common: (…, boxes, boxes)."""
    start = torch.maximum(boxes[..., :, None, :2], boxes[..., None, :, :2])
    end = torch.minimum(boxes[..., :, None, 2:], boxes[..., None, :, 2:])
    common = (end - start).clamp(min=0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    one, other = area[..., :, None], area[..., None, :]
    whole = one + other - common if share_of == "union" else torch.minimum(one, other)
    return common / whole.clamp(min=1e-9)
