"""The result of a request: its top-1 class and the score of that."""

from __future__ import annotations

import math
import numbers
from typing import Any

import torch


def top1(logits: torch.Tensor) -> tuple[int, float]:
    """Class and softmax probability of the mean of the clips' logits, shape (num_clips, num_classes).

    The sum runs in double precision, so that it does not depend on how the clips were grouped.
    """
    mean = logits.double().mean(0)
    label = int(mean.argmax())
    return label, float(torch.softmax(mean, 0)[label])


def result_of(value: Any, rows: torch.Tensor | None) -> tuple[int, float]:
    """What the last step says of a request, (label, score) or label or rows of logits; else (-1, NaN)."""
    if isinstance(value, tuple) and len(value) == 2:
        return int(value[0]), float(value[1])
    if isinstance(value, numbers.Integral):
        return int(value), math.nan
    if rows is not None and rows.ndim == 2 and len(rows):
        return top1(rows)
    return -1, math.nan
