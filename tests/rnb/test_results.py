"""The result of a request, from logits or from what the last step says."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from rnb.results import results_of, top1, top1_of_each


def test_top1_is_the_class_of_the_mean_over_clips() -> None:
    label, score = top1(torch.tensor([[9.0, 0.0, 6.0], [0.0, 0.0, 6.0]]))
    assert label == 2
    exponentials = [math.exp(value) for value in (4.5, 0, 6)]
    assert score == pytest.approx(exponentials[2] / sum(exponentials))


def test_top1_does_not_depend_on_the_order_of_the_clips() -> None:
    logits = torch.randn(15, 400, generator=torch.Generator().manual_seed(0)) * 1e3
    results = {top1(logits[torch.randperm(15, generator=torch.Generator().manual_seed(i))]) for i in range(5)}
    assert len(results) == 1


def test_many_requests_at_once_are_as_one_by_one() -> None:
    logits = torch.randn(20, 400, generator=torch.Generator().manual_seed(0))
    num_clips = [3, 0, 1, 15, 1]
    starts = [0, 3, 3, 4, 19]
    expected = [top1(logits[first : first + count]) for first, count in zip(starts, num_clips, strict=True)]
    together = top1_of_each(logits, num_clips)
    assert [label for label, _ in together] == [label for label, _ in expected]
    assert together[1][0] == -1
    assert [score for _, score in together] == pytest.approx([score for _, score in expected], nan_ok=True)


@pytest.mark.parametrize("value", [3, np.int64(3), (3, 0.5), (np.int32(3), np.float32(0.5))])
def test_the_value_of_the_last_step_comes_before_its_rows(value: Any) -> None:
    ((label, score),) = results_of([value], torch.zeros(1, 5), [1])
    assert label == 3
    assert score == 0.5 if isinstance(value, tuple) else math.isnan(score)


def test_rows_of_logits() -> None:
    rows = torch.tensor([[0.0, 1.0], [5.0, 0.0], [7.0, 0.0]])
    assert [label for label, _ in results_of([None, "a note", 4], rows, [1, 1, 1])] == [1, 0, 4]


@pytest.mark.parametrize("rows", [None, torch.zeros(0, 5), torch.zeros(1, 3, 8)])
def test_what_has_no_class(rows: torch.Tensor | None) -> None:
    ((label, score),) = results_of([None], rows, [0 if rows is None else len(rows)])
    assert label == -1
    assert math.isnan(score)
