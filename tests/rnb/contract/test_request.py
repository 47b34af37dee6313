"""Batches: whose rows are whose is said, never guessed, and what does not add up is an error."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from rnb.contract.request import Batch, OutputError, Request, TensorSpec, split_rows

FRAMES = torch.arange(3.0)[:, None]
BOXES = torch.arange(12, dtype=torch.int32).view(6, 2)
TWO = (Request(4, "a", parameters={"deadline_ms": 5}), Request(7, "b", segment=1, num_segments=3))


def frames_and_boxes() -> Batch:
    """Two requests: one frame with four boxes, and two frames with two."""
    return Batch(TWO, (FRAMES, BOXES), ((1, 4), (2, 2)))


def test_a_batch_knows_whose_rows_are_whose() -> None:
    batch = frames_and_boxes()
    assert (len(batch), batch.ids, batch.payloads) == (2, [4, 7], ["a", "b"])
    assert (batch.num_rows(), batch.num_rows(1)) == ([1, 2], [4, 2])
    assert [part[:, 0].tolist() for part in batch.split()] == [[0], [1, 2]]
    assert [part[:, 0].tolist() for part in batch.split(1)] == [[0, 2, 4, 6], [8, 10]]


def test_the_parts_are_views() -> None:
    assert frames_and_boxes().split(1)[1].data_ptr() == BOXES[4].data_ptr()


def test_an_answer_is_for_the_same_requests() -> None:
    answer = frames_and_boxes().give(tensors=[FRAMES], rows=[1, 2], payloads=[1, [2, 3]])
    assert answer.requests == (TWO[0].with_payload(1), TWO[1].with_payload([2, 3]))
    assert [one.parameters for one in answer.requests] == [{"deadline_ms": 5}, None]
    assert [one.segment for one in answer.requests] == [0, 1]
    assert answer.rows == ((1,), (2,))


def test_an_answer_without_payloads_has_none() -> None:
    assert frames_and_boxes().give().payloads == [None, None]


def test_the_size_is_told_or_counted() -> None:
    assert frames_and_boxes().size == 3
    told = Batch(TWO).give(payloads=["a", "b"], sizes=[1, 15])
    assert (told.size, [part.size for part in told.cut([1, 1])]) == (16, [1, 15])
    with pytest.raises(OutputError, match="1 sizes for 2 requests"):
        Batch(TWO).give(sizes=[1])
    with pytest.raises(OutputError, match="asks how large a request is, and its step gave no tensors or"):
        assert Batch(TWO).size


def test_rows_may_differ_from_tensor_to_tensor_and_be_none() -> None:
    answer = frames_and_boxes().give(tensors=[FRAMES, BOXES], rows=[(3, 0), (0, 6)])
    assert [len(part) for number in (0, 1) for part in answer.split(number)] == [3, 0, 0, 6]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"payloads": [1, 2, 3]}, "3 payloads for 2 requests"),
        ({"payloads": []}, "0 payloads for 2 requests"),
        ({"tensors": [FRAMES]}, "the rows of 0 requests are given, of 2"),
        ({"tensors": [FRAMES], "rows": [3]}, "the rows of 1 requests are given, of 2"),
        ({"tensors": [FRAMES], "rows": [1, 1, 1]}, "the rows of 3 requests are given, of 2"),
        ({"tensors": [FRAMES], "rows": [3, 1]}, "tensor 0 has 3 rows, and its 2 requests have [3, 1]"),
        ({"tensors": [FRAMES], "rows": [-1, 4]}, "tensor 0 has 3 rows, and its 2 requests have [-1, 4]"),
        (
            {"tensors": [FRAMES, BOXES], "rows": [(1, 3), (2, 2)]},
            "tensor 1 has 6 rows, and its 2 requests have [3, 2]",
        ),
        (
            {"tensors": [FRAMES, BOXES], "rows": [1, 2]},
            "the rows of 1 tensors are given, of 2",
        ),
        ({"rows": [1, 2]}, "rows are given, but no tensor"),
    ],
)
def test_an_answer_whose_numbers_do_not_add_up(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputError) as caught:
        frames_and_boxes().give(**given)
    assert str(caught.value) == message


def test_four_rows_for_inputs_of_three_and_one_are_not_guessed() -> None:
    four = torch.zeros(4, 1)
    batch = Batch((Request(0), Request(1)), (four,), ((3,), (1,)))
    with pytest.raises(OutputError, match="the rows of 0 requests are given, of 2"):
        batch.give(tensors=[four])
    assert batch.give(tensors=[four], rows=[2, 2]).num_rows() == [2, 2]


def test_rows_for_a_tensor_that_is_not_there() -> None:
    with pytest.raises(OutputError, match="the rows of 2 tensors are given, of 1"):
        Batch((Request(0),), (FRAMES,), ((3, 4),)).checked()


def test_a_batch_is_cut_into_the_messages_that_it_came_in() -> None:
    requests = tuple(map(Request, range(4)))
    batch = Batch(requests, (torch.arange(6.0), torch.arange(4)), ((1, 1), (2, 0), (0, 3), (3, 0)))
    first, second, third = batch.cut((1, 2, 1))
    assert [one.ids for one in (first, second, third)] == [[0], [1, 2], [3]]
    assert [one.tensors[0].tolist() for one in (first, second, third)] == [[0], [1, 2], [3, 4, 5]]
    assert [one.tensors[1].tolist() for one in (first, second, third)] == [[0], [1, 2, 3], []]
    assert second.rows == ((2, 0), (0, 3))
    assert all(one.checked() is one for one in (first, second, third))


def test_a_batch_without_tensors_is_cut_too() -> None:
    batch = Batch((Request(0, "a"), Request(1, "b")))
    assert [one.payloads for one in batch.cut((1, 1))] == [["a"], ["b"]]


@pytest.mark.parametrize("counts", [(), (2,)])
def test_one_message_is_not_cut(counts: tuple[int, ...]) -> None:
    batch = frames_and_boxes()
    assert batch.cut(counts) == [batch]


def test_the_whole_of_a_segment() -> None:
    segment = Request(3, "a", 2, 4, {"key": 1})
    assert segment.whole == Request(3, "a", 0, 1, {"key": 1})
    assert segment.with_payload("b") == Request(3, "b", 2, 4, {"key": 1})


def test_a_spec_counts_its_rows_and_bytes() -> None:
    spec = TensorSpec((15, 3, 8), "uint8")
    assert (spec.most_rows, spec.row, spec.num_bytes) == (15, (3, 8), 360)
    assert spec.with_rows(2) == TensorSpec((2, 3, 8), "uint8")
    assert TensorSpec((2, 5)).num_bytes == 40
    assert TensorSpec((2, 5), "float16").num_bytes == 20


@pytest.mark.parametrize(
    ("num_rows", "num_segments", "expected"),
    [
        (11, 3, [4, 4, 3]),
        (15, 3, [5, 5, 5]),
        (1, 3, [1, 0, 0]),
        (2, 1, [2]),
        (0, 2, [0, 0]),
        (10, 4, [3, 3, 2, 2]),
    ],
)
def test_rows_are_spread_evenly_with_the_larger_segments_first(
    num_rows: int, num_segments: int, expected: list[int]
) -> None:
    assert split_rows([num_rows], num_segments) == [expected]


def test_the_segments_of_a_message_are_even_though_it_has_several_requests() -> None:
    """No segment is larger than what the plan makes room for: the rows of the message in so many parts."""
    for counts in itertools.product(range(5), repeat=3):
        for num_segments in (2, 3, 4):
            shares = split_rows(counts, num_segments)
            assert [sum(one) for one in shares] == list(counts)
            assert max(map(sum, zip(*shares, strict=True))) == -(-sum(counts) // num_segments)
