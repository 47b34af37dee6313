"""The class of a request from its rows of logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rnb.contract.result import NO_CLASS, ClassAndScore

if TYPE_CHECKING:
    import torch


def top1(logits: torch.Tensor) -> ClassAndScore:
    """Class and softmax probability of the mean of the clips' logits, shape (num_clips, num_classes)."""
    return top1_of_each(logits, [len(logits)])[0]


def top1_of_each(logits: torch.Tensor, num_clips: Sequence[int]) -> list[ClassAndScore]:
    """The same for several requests at once, whose clips follow each other in the rows of `logits`.

    The sums run in double precision, so that they do not depend on how the clips were grouped. A request
    without clips has no class.
    """
    results = [NO_CLASS] * len(num_clips)
    counts = np.asarray(num_clips)
    having = np.flatnonzero(counts)
    if not len(having):
        return results
    starts = (np.cumsum(counts) - counts)[having]
    means = np.add.reduceat(logits.double().cpu().numpy(), starts, axis=0) / counts[having, None]
    labels = means.argmax(axis=1)
    scores = 1 / np.exp(means - means.max(axis=1, keepdims=True)).sum(axis=1)
    for request, label, score in zip(having.tolist(), labels.tolist(), scores.tolist(), strict=True):
        results[request] = ClassAndScore(label, score)
    return results
