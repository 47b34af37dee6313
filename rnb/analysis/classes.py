"""Which classes the requests got, where classes have names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnb.record.run import CLASS_NAME, Run


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """One class."""

    name: str
    num_requests: int
    mean_score: float
    """Of its requests."""


def class_counts(run: Run) -> list[ClassCount]:
    """The classes of the measured requests that finished, the most frequent first; none without names."""
    if CLASS_NAME not in run.requests:
        return []
    names = run.requests[CLASS_NAME][run.finished].astype(str)
    found, places, counts = np.unique(names, return_inverse=True, return_counts=True)
    scores = np.bincount(places, weights=run.requests["score"][run.finished], minlength=len(found)) / counts
    order = np.argsort(-counts, kind="stable")
    return [
        ClassCount(name=str(found[row]), num_requests=int(counts[row]), mean_score=float(scores[row]))
        for row in order
        if found[row]
    ]
