"""The class of a request, from its rows of logits."""

from __future__ import annotations

import math

import pytest
import torch

from rnb.contract.result import NO_CLASS, ClassAndScore
from rnb.contract.top1 import top1, top1_of_each


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
    assert together[1] is NO_CLASS
    assert [score for _, score in together] == pytest.approx([score for _, score in expected], nan_ok=True)


def test_each_request_has_the_class_of_its_own_rows() -> None:
    rows = torch.tensor([[0.0, 1.0], [5.0, 0.0], [0.0, 7.0]])
    assert [label for label, _ in top1_of_each(rows, [1, 1, 1])] == [1, 0, 1]
    assert [label for label, _ in top1_of_each(rows, [1, 2])] == [1, 1]


def test_logits_as_bytes_and_halves_of_floats_are_summed_in_double_precision() -> None:
    rows = torch.tensor([[2.0, 1.0], [2.0, 3.5]], dtype=torch.float16)
    assert top1(rows) == top1(rows.double())
    assert isinstance(top1(rows), ClassAndScore)


@pytest.mark.parametrize("num_clips", [[0], [0, 0]])
def test_without_clips_there_is_no_class(num_clips: list[int]) -> None:
    assert top1_of_each(torch.zeros(0, 5), num_clips) == [NO_CLASS] * len(num_clips)
    assert NO_CLASS.label == -1
    assert math.isnan(NO_CLASS.score)
