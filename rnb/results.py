"""The result of a request: its top-1 class and the score of that."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

NO_RESULT = (-1, math.nan)


def top1(logits: torch.Tensor) -> tuple[int, float]:
    """Class and softmax probability of the mean of the clips' logits, shape (num_clips, num_classes)."""
    return top1_of_each(logits, [len(logits)])[0]


def top1_of_each(logits: torch.Tensor, num_clips: Sequence[int]) -> list[tuple[int, float]]:
    """The same for several requests at once, whose clips follow each other in the rows of `logits`.

    The sums run in double precision, so that they do not depend on how the clips were grouped. A request
    without clips has no result: (-1, NaN).
    """
    results = [NO_RESULT] * len(num_clips)
    counts = np.asarray(num_clips)
    having = np.flatnonzero(counts)
    if not len(having):
        return results
    starts = (np.cumsum(counts) - counts)[having]
    means = np.add.reduceat(logits.double().cpu().numpy(), starts, axis=0) / counts[having, None]
    labels = means.argmax(axis=1)
    scores = 1 / np.exp(means - means.max(axis=1, keepdims=True)).sum(axis=1)
    for request, label, score in zip(having.tolist(), labels.tolist(), scores.tolist(), strict=True):
        results[request] = (label, score)
    return results


def results_of(
    values: Sequence[Any], rows: torch.Tensor | None, num_rows: Sequence[int]
) -> list[tuple[int, float]]:
    """What the last step says of each request: (label, score) or label or rows of logits; else (-1, NaN)."""
    told = [_told(value) for value in values]
    if rows is None or rows.ndim != 2 or None not in told:
        return [result or NO_RESULT for result in told]
    found = top1_of_each(rows, num_rows)
    return [result or computed for result, computed in zip(told, found, strict=True)]


def _told(value: Any) -> tuple[int, float] | None:
    if isinstance(value, tuple) and len(value) == 2:
        return int(value[0]), float(value[1])
    if isinstance(value, numbers.Integral):
        return int(value), math.nan
    return None
