"""Non-maximum suppression as it is written down: box by box, from the best on."""

from __future__ import annotations

import torch


def one_by_one(
    boxes: list[list[float]], scores: list[float], owner: list[int], threshold: float, share_of: str
) -> list[int]:
    """The numbers of the boxes that are kept, by owner, then by score; boxes of one owner meet."""
    kept: list[int] = []
    for box in sorted(range(len(boxes)), key=lambda number: (owner[number], -scores[number])):
        rivals = [other for other in kept if owner[other] == owner[box]]
        if all(overlap(boxes[box], boxes[other], share_of) <= threshold for other in rivals):
            kept.append(box)
    return kept


def overlap(one: list[float], other: list[float], share_of: str) -> float:
    sides = [max(0.0, min(one[2 + axis], other[2 + axis]) - max(one[axis], other[axis])) for axis in (0, 1)]
    common = sides[0] * sides[1]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    whole = sum(areas) - common if share_of == "union" else min(areas)
    return common / whole if whole else 0.0


def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """As torchvision's operator of this name."""
    kept = one_by_one(boxes.tolist(), scores.tolist(), [0] * len(boxes), threshold, "union")
    return torch.tensor(kept, dtype=torch.int64)
