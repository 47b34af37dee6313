"""Handing on: which rows belong to which request, in one message or several, in slots or as results."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from rnb.delivery import Output, ResultDelivery, SlotDelivery, rows_of, split_output
from rnb.message import Message, Part, SlotRef
from rnb.queues import EndOfStream, MessageQueue
from rnb.request_table import FINISHED
from rnb.selectors import RoundRobinSelector
from rnb.slots import SlotPool
from tests.support.cards import card, make_pool, make_queue, make_table


def numbered(num_rows: int, first: int = 0) -> torch.Tensor:
    """Rows that hold their number: (num_rows, 1)."""
    return torch.arange(float(first), first + num_rows)[:, None]


def delivery_to(*queues: MessageQueue, pool: SlotPool | None, num_segments: int = 1) -> SlotDelivery:
    return SlotDelivery(
        pool=pool,
        pool_index=None if pool is None else 7,
        queues=queues,
        selector=RoundRobinSelector(len(queues)),
        num_segments=num_segments,
    )


def drain(queue: MessageQueue) -> list[Message]:
    queue.close()
    messages = []
    while True:
        try:
            messages.append(queue.get(1))
        except EndOfStream:
            return messages


def rows_in(pool: SlotPool, message: Message, tensor: int = 0) -> list[float]:
    assert message.slot is not None
    count = sum(part.num_rows[tensor] for part in message.parts)
    rows: list[float] = pool.tensors(message.slot.number)[tensor][:count, 0].tolist()
    return rows


def test_one_request_owns_all_rows() -> None:
    assert rows_of(11, [card(0, 3)]) == [11]


def test_rows_belong_to_those_who_brought_them() -> None:
    assert rows_of(13, [card(0, 11), card(1, 1), card(2, 1)]) == [11, 1, 1]


def test_a_row_each_when_the_step_reduced_them() -> None:
    assert rows_of(2, [card(0, 11), card(1, 4)]) == [1, 1]
    assert rows_of(2, [card(0), card(1)]) == [1, 1]


def test_rows_that_belong_to_nobody_are_refused() -> None:
    with pytest.raises(ValueError, match=r"returned 5 rows for 2 requests that brought \[11, 4\]"):
        rows_of(5, [card(0, 11), card(1, 4)])


def test_an_output_splits_by_requests() -> None:
    tensors = (numbered(6), numbered(3, first=100))
    cards = [card(0, 2, 1), card(1, 3, 1), card(2, 1, 1)]
    first, second = split_output(Output(tensors, ["a", "b", "c"], cards), [1, 2])
    assert first.tensors is not None
    assert second.tensors is not None
    assert [tensor[:, 0].tolist() for tensor in first.tensors] == [[0, 1], [100]]
    assert [tensor[:, 0].tolist() for tensor in second.tensors] == [[2, 3, 4, 5], [101, 102]]
    assert (first.values, second.values) == (["a"], ["b", "c"])
    assert [one.id for one in second.cards] == [1, 2]
    assert second.num_rows == [(3, 1), (1, 1)]


def test_an_output_without_tensors_splits_too() -> None:
    outputs = split_output(Output(None, ["a", "b"], [card(0), card(1)]), [1, 1])
    assert [(one.tensors, one.values) for one in outputs] == [(None, ["a"]), (None, ["b"])]


def test_a_message_names_its_slot_and_the_rows_of_each_request() -> None:
    pool, queue = make_pool((4, 1), (2, 3)), make_queue()
    output = Output((numbered(3), torch.ones(2, 3)), ["a", "b"], [card(5, 2, 1), card(6, 1, 1)])
    delivery_to(queue, pool=pool).deliver(output, None)
    (message,) = drain(queue)
    assert message.slot is not None
    assert message.slot.pool == 7
    assert message.parts == (Part(5, 0, 1, (2, 1), "a"), Part(6, 0, 1, (1, 1), "b"))
    assert rows_in(pool, message) == [0, 1, 2]
    assert pool.tensors(message.slot.number)[1].eq(1).all()


def test_an_output_that_lies_in_its_slot_is_not_copied() -> None:
    pool, queue = make_pool((4, 1)), make_queue()
    slot = pool.take()
    pool.tensors(slot)[0].fill_(9)
    delivery_to(queue, pool=pool).deliver(Output((pool.tensors(slot)[0][:2],), ["v"], [card(0)]), slot)
    assert drain(queue) == [Message(SlotRef(7, slot), (Part(0, 0, 1, (2,), "v"),))]


def test_segments_of_one_request_are_even_and_complete() -> None:
    pool, queue = make_pool((4, 1)), make_queue()
    delivery_to(queue, pool=pool, num_segments=3).deliver(Output((numbered(11),), ["v"], [card(2)]), None)
    messages = drain(queue)
    assert [message.parts for message in messages] == [
        (Part(2, segment, 3, (rows,), "v"),) for segment, rows in enumerate([4, 4, 3])
    ]
    assert [rows_in(pool, message) for message in messages] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert len({message.slot for message in messages}) == 3


def test_segments_over_several_requests_keep_their_rows_apart() -> None:
    pool, queue = make_pool((8, 1)), make_queue()
    output = Output((numbered(16),), ["a", "b", "c"], [card(0, 11), card(1, 1), card(2, 4)])
    delivery_to(queue, pool=pool, num_segments=3).deliver(output, None)
    messages = drain(queue)
    assert [[part.num_rows[0] for part in message.parts] for message in messages] == [
        [4, 1, 2],
        [4, 0, 1],
        [3, 0, 1],
    ]
    assert [rows_in(pool, message) for message in messages] == [
        [0, 1, 2, 3, 11, 12, 13],
        [4, 5, 6, 7, 14],
        [8, 9, 10, 15],
    ]
    assert [[part.segment for part in message.parts] for message in messages] == [[0] * 3, [1] * 3, [2] * 3]


def test_a_segment_that_passes_through_stays_that_segment() -> None:
    pool, queue, one = make_pool((4, 1)), make_queue(), card(3, 2)
    one.sub_id, one.num_segments = 1, 3
    delivery_to(queue, pool=pool).deliver(Output((numbered(2),), [None], [one]), None)
    assert drain(queue)[0].parts == (Part(3, 1, 3, (2,), None),)


def test_no_tensors_need_no_slot() -> None:
    queue = make_queue()
    delivery_to(queue, pool=None).deliver(Output(None, [42], [card(0)]), None)
    assert drain(queue) == [Message(None, (Part(0, 0, 1, (), 42),))]


def test_the_selector_chooses_the_queue_once_for_all_segments() -> None:
    pool, queues = make_pool((2, 1)), (make_queue(), make_queue())
    delivery = delivery_to(*queues, pool=pool, num_segments=2)
    for request_id in range(2):
        delivery.deliver(Output((numbered(2),), [None], [card(request_id)]), None)
    requests = [[message.parts[0].request_id for message in drain(queue)] for queue in queues]
    assert requests == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(5, 1), r"an output of \(5, 1\) does not fit a slot of \(4, 1\) at row 0"),
        (torch.zeros(2, 3), r"an output of \(2, 3\) does not fit a slot of \(4, 1\) at row 0"),
    ],
)
def test_an_output_that_does_not_fit_its_slot(output: torch.Tensor, message: str) -> None:
    delivery = delivery_to(make_queue(), pool=make_pool((4, 1)))
    with pytest.raises(ValueError, match=message + "; output_shape must give the largest output"):
        delivery.deliver(Output((output,), [None], [card(0)]), None)


def test_requests_that_do_not_fit_together() -> None:
    delivery = delivery_to(make_queue(), pool=make_pool((4, 1)))
    with pytest.raises(ValueError, match=r"\(2, 1\) does not fit a slot of \(4, 1\) at row 3"):
        delivery.deliver(Output((numbered(5),), [None, None], [card(0, 3), card(1, 2)]), None)


def results(output: Output) -> list[tuple[int, float]]:
    table = make_table()
    ResultDelivery(table).deliver(output, None)
    ids = [one.id for one in output.cards]
    assert (table.outcomes["status"][ids] == FINISHED).all()
    assert table.count(FINISHED) == len(ids)
    return [(int(table.outcomes["label"][i]), float(table.outcomes["score"][i])) for i in ids]


def test_the_result_of_each_request_comes_from_its_own_rows() -> None:
    logits = torch.tensor([[0.0, 2.0], [3.0, 0.0], [4.0, 0.0]])
    found = results(Output((logits,), [None, None], [card(4, 1), card(2, 2)]))
    assert [label for label, _ in found] == [1, 0]


@pytest.mark.parametrize(("value", "label"), [(6, 6), ((6, 0.25), 6), (None, -1)])
def test_the_result_of_a_step_without_tensors(value: Any, label: int) -> None:
    ((found, score),) = results(Output(None, [value], [card(4)]))
    assert found == label
    assert score == 0.25 if isinstance(value, tuple) else math.isnan(score)
