"""Which classes the requests got."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.classes import class_counts
from rnb.record.run import CLASS_NAME
from tests.support.simulated_runs import simulate


def test_the_most_frequent_class_comes_first() -> None:
    run = simulate(num_requests=6)
    run.requests[CLASS_NAME] = np.array(["zumba", "yoga", "yoga", "", "zumba", "yoga"], dtype=object)
    run.requests["score"] = np.array([0.5, 0.1, 0.2, np.nan, 0.7, 0.9])
    run.requests["status"] = np.array(["finished"] * 5 + ["failed"], dtype=object)
    run.requests["is_warmup"] = np.array([True] + [False] * 5)
    first, second = class_counts(run)
    assert (first.name, first.num_requests, second.name, second.num_requests) == ("yoga", 2, "zumba", 1)
    assert [first.mean_score, second.mean_score] == pytest.approx([0.15, 0.7])


def test_without_names_there_are_none() -> None:
    assert class_counts(simulate(num_requests=6)) == []
