"""Handing on: which rows belong to which request, in one message or several, in slots or as results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from rnb.contract.device import CPU
from rnb.contract.request import Batch, OutputError, Request, Rows, TensorSpec
from rnb.contract.result import ClassAndScore
from rnb.contract.step import Context, Step
from rnb.contract.top1 import top1_of_each
from rnb.pipeline.selectors import RoundRobinSelector
from rnb.processes.assembly import Assembly
from rnb.processes.delivery import ResultDelivery, SlotDelivery
from rnb.processes.intake import Intake
from rnb.transport.fabric import FAILED, FINISHED, Stamp
from rnb.transport.local.queues import MessageQueue
from rnb.transport.local.slots import SlotPool
from rnb.transport.local.stop import StopFlag
from rnb.transport.message import Message, SlotRef
from tests.support.underway import batch_of, drain, make_pool, make_queue, make_table, message_of

FRAMES, BOXES = TensorSpec((9, 2)), TensorSpec((12, 4), "int32")
HELD = {"boxes": "kept"}


def numbered(num_rows: int, first: int = 0) -> torch.Tensor:
    """Rows that hold their number: (num_rows, 1)."""
    return torch.arange(float(first), first + num_rows)[:, None]


def delivery_to(
    *queues: MessageQueue, pool: SlotPool | None, num_segments: int = 1, **stamps: Stamp
) -> SlotDelivery:
    return SlotDelivery(
        pool=pool,
        pool_index=None if pool is None else 7,
        queues=queues,
        select=RoundRobinSelector(len(queues)).select,
        num_segments=num_segments,
        **stamps,
    )


def deliver(delivery: SlotDelivery, batch: Batch) -> None:
    delivery.deliver(batch, None, is_filled=False)


def rows_in(pool: SlotPool, message: Message, tensor: int = 0) -> list[float]:
    assert message.slot is not None
    count = sum(rows[tensor] for rows in message.rows)
    rows: list[float] = pool.tensors(message.slot.number)[tensor][:count, 0].tolist()
    return rows


def spec(num_rows: int, *row: int) -> TensorSpec:
    return TensorSpec((num_rows, *row))


def test_a_message_names_its_slot_and_the_rows_of_each_request() -> None:
    pool, queue = make_pool(spec(4, 1), spec(2, 3)), make_queue()
    batch = batch_of({5: (2, 1), 6: (1, 1)}, numbered(3), torch.ones(2, 3), payloads=["a", "b"])
    deliver(delivery_to(queue, pool=pool), batch)
    (message,) = drain(queue)
    assert message.slot is not None
    assert message.slot.pool == 7
    assert message.requests == (Request(5, "a"), Request(6, "b"))
    assert message.rows == ((2, 1), (1, 1))
    assert rows_in(pool, message) == [0, 1, 2]
    assert pool.tensors(message.slot.number)[1].eq(1).all()


def test_an_output_that_lies_in_its_slot_is_not_copied() -> None:
    pool, queue = make_pool(spec(4, 1)), make_queue()
    slot = pool.take()
    pool.tensors(slot)[0].fill_(9)
    # That it is not read at all is what the other tensor shows.
    batch = batch_of({0: (2,)}, torch.zeros(2, 1), payloads=["v"])
    delivery_to(queue, pool=pool).deliver(batch, slot, is_filled=True)
    assert drain(queue) == [Message(SlotRef(7, slot), (Request(0, "v"),), ((2,),))]
    assert pool.tensors(slot)[0].eq(9).all()


def test_a_slot_that_was_offered_and_not_used_is_filled_and_no_other_is_taken() -> None:
    pool, queue = make_pool(spec(4, 1), num_slots=1), make_queue()
    slot = pool.take()
    delivery_to(queue, pool=pool).deliver(batch_of({0: (2,)}, numbered(2, 5)), slot, is_filled=False)
    (message,) = drain(queue)
    assert message.slot == SlotRef(7, slot)
    assert rows_in(pool, message) == [5, 6]


def test_segments_of_one_request_are_even_and_complete() -> None:
    pool, queue = make_pool(spec(4, 1)), make_queue()
    batch = Batch((Request(2, "v", parameters={"key": 1}),), (numbered(11),), ((11,),))
    deliver(delivery_to(queue, pool=pool, num_segments=3), batch)
    messages = drain(queue)
    assert [message.requests for message in messages] == [
        (Request(2, "v", segment, 3, {"key": 1}),) for segment in range(3)
    ]
    assert [message.rows for message in messages] == [((4,),), ((4,),), ((3,),)]
    assert [rows_in(pool, message) for message in messages] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert len({message.slot for message in messages}) == 3


def test_segments_over_several_requests_are_even_and_keep_their_rows_apart() -> None:
    pool, queue = make_pool(spec(6, 1)), make_queue()  # as the plan makes it of a message of 16 rows
    batch = batch_of({0: (11,), 1: (1,), 2: (4,)}, numbered(16), payloads=["a", "b", "c"])
    deliver(delivery_to(queue, pool=pool, num_segments=3), batch)
    messages = drain(queue)
    assert [[rows[0] for rows in message.rows] for message in messages] == [[4, 0, 2], [4, 0, 1], [3, 1, 1]]
    assert [rows_in(pool, message) for message in messages] == [
        [0, 1, 2, 3, 12, 13],
        [4, 5, 6, 7, 14],
        [8, 9, 10, 11, 15],
    ]
    assert [[request.segment for request in message.requests] for message in messages] == [
        [0] * 3, [1] * 3, [2] * 3
    ]  # fmt: skip


def test_a_segment_that_passes_through_stays_that_segment() -> None:
    pool, queue = make_pool(spec(4, 1)), make_queue()
    deliver(delivery_to(queue, pool=pool), Batch((Request(3, None, 1, 3),), (numbered(2),), ((2,),)))
    (message,) = drain(queue)
    assert (message.requests, message.rows) == ((Request(3, None, 1, 3),), ((2,),))


def test_no_tensors_need_no_slot() -> None:
    queue = make_queue()
    deliver(delivery_to(queue, pool=None), batch_of({0: ()}, payloads=[42]))
    assert drain(queue) == [Message(None, (Request(0, 42),), ((),))]


def test_an_answer_without_tensors_takes_none_of_the_slots() -> None:
    pool, queue = make_pool(spec(4, 1), num_slots=1), make_queue()
    deliver(delivery_to(queue, pool=pool, num_segments=2), batch_of({0: (), 1: ()}))
    assert [(message.slot, message.rows) for message in drain(queue)] == [(None, ((), ()))] * 2
    assert pool.take() == 0


def test_the_selector_chooses_the_queue_once_for_all_segments() -> None:
    pool, queues = make_pool(spec(2, 1)), (make_queue(), make_queue())
    delivery = delivery_to(*queues, pool=pool, num_segments=2)
    for request_id in range(2):
        deliver(delivery, batch_of({request_id: (2,)}, numbered(2)))
    requests = [[message.requests[0].id for message in drain(queue)] for queue in queues]
    assert requests == [[0, 0], [1, 1]]


class Stamped:
    """Which requests were stamped."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def __call__(self, request: Request, time_ns: int) -> None:
        assert time_ns > 0
        self.ids.append(request.id)


def test_a_request_is_stamped_once_however_many_segments_it_has() -> None:
    has_slot, handed_on = Stamped(), Stamped()
    pool, queue = make_pool(spec(4, 1)), make_queue()
    delivery = delivery_to(queue, pool=pool, num_segments=3, has_slot=has_slot, handed_on=handed_on)
    deliver(delivery, batch_of({4: (2,), 6: (2,)}, numbered(4)))
    assert (has_slot.ids, handed_on.ids) == ([4, 6], [4, 6])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(5, 1), r"an output of \(5, 1\) does not fit a slot of \(4, 1\) at row 0"),
        (torch.zeros(2, 3), r"an output of \(2, 3\) does not fit a slot of \(4, 1\) at row 0"),
    ],
)
def test_an_output_that_does_not_fit_its_slot(output: torch.Tensor, message: str) -> None:
    delivery = delivery_to(make_queue(), pool=make_pool(spec(4, 1)))
    with pytest.raises(OutputError, match=message + r"; the step's output\(\) must give the largest output"):
        deliver(delivery, batch_of({0: (len(output),)}, output))


def test_requests_that_do_not_fit_together() -> None:
    delivery = delivery_to(make_queue(), pool=make_pool(spec(4, 1)))
    with pytest.raises(OutputError, match=r"\(2, 1\) does not fit a slot of \(4, 1\) at row 3"):
        deliver(delivery, batch_of({0: (3,), 1: (2,)}, numbered(5)))


@pytest.mark.parametrize("announced", [0, 1, 3])
def test_an_output_of_another_number_of_tensors_than_announced(announced: int) -> None:
    queue, pool = make_queue(), make_pool(*[spec(4, 1)] * announced) if announced else None
    with pytest.raises(OutputError, match=rf"^an output of 2 tensors; output\(\) announces {announced}$"):
        deliver(delivery_to(queue, pool=pool), batch_of({0: (1, 1)}, numbered(1), numbered(1)))
    assert queue.depth() == 0


def frames_and_boxes(rows: Mapping[int, Rows]) -> Batch:
    """Frames hold their request and number; boxes, four numbers each, are larger by a thousand."""
    frames = [[request_id, row] for request_id, (count, _) in rows.items() for row in range(count)]
    boxes = [
        [1000 + request_id, row, 0, 0] for request_id, (_, count) in rows.items() for row in range(count)
    ]
    tensors = torch.tensor(frames, dtype=torch.float32), torch.tensor(boxes, dtype=torch.int32)
    return batch_of(rows, *tensors, payloads=[{**HELD, "of": request_id} for request_id in rows])


def taken_from(queue: MessageQueue, pool: SlotPool, num_requests: int) -> list[Batch]:
    """The batches that a step behind the queue is called with."""
    queue.close()
    intake = Intake(queue, StopFlag(), batch_size=num_requests, timeout_ms=0)
    assembly = Assembly({7: pool}, CPU, inputs=(FRAMES, BOXES), most_rows=9 * num_requests, in_place=False)
    found, left = [], num_requests
    while left > 0:
        pieces = intake.gather()
        requests, rows = [piece.request for piece in pieces], [piece.rows for piece in pieces]
        found.append(Batch(tuple(requests), assembly.tensors(pieces), tuple(rows)).checked())
        left -= len(pieces)
    return found


def of_each(batch: Batch) -> list[tuple[int, list[list[float]], list[list[float]]]]:
    parts = zip(batch.ids, batch.split(0), batch.split(1), strict=True)
    return [(request_id, frames.tolist(), boxes.tolist()) for request_id, frames, boxes in parts]


def test_frames_and_boxes_cross_in_one_message() -> None:
    pool, queue = make_pool(FRAMES, BOXES), make_queue()
    sent = frames_and_boxes({4: (2, 5), 5: (1, 0), 6: (3, 7)})
    deliver(delivery_to(queue, pool=pool), sent)
    (taken,) = taken_from(queue, pool, num_requests=3)
    assert taken.requests == sent.requests
    assert taken.rows == ((2, 5), (1, 0), (3, 7))
    assert [tensor.dtype for tensor in taken.tensors] == [torch.float32, torch.int32]
    assert of_each(taken) == of_each(sent)


def test_frames_and_boxes_of_several_messages_are_gathered() -> None:
    pool, queue = make_pool(FRAMES, BOXES), make_queue()
    sent = [
        frames_and_boxes({4: (9, 1)}),
        frames_and_boxes({5: (1, 12), 6: (0, 0)}),
        frames_and_boxes({7: (3, 3)}),
    ]
    for batch in sent:
        deliver(delivery_to(queue, pool=pool), batch)
    (taken,) = taken_from(queue, pool, num_requests=4)
    assert taken.requests == tuple(request for batch in sent for request in batch.requests)
    assert [tensor.dtype for tensor in taken.tensors] == [torch.float32, torch.int32]
    assert of_each(taken) == [one for batch in sent for one in of_each(batch)]


def test_frames_and_boxes_cross_in_three_segments() -> None:
    pool, queue = make_pool(FRAMES, BOXES), make_queue()
    sent = frames_and_boxes({4: (4, 11), 5: (1, 0)})
    deliver(delivery_to(queue, pool=pool, num_segments=3), sent)
    (taken,) = taken_from(queue, pool, num_requests=6)
    assert taken.rows == ((2, 4), (0, 0), (1, 4), (1, 0), (1, 3), (0, 0))
    assert [(request.id, request.segment) for request in taken.requests] == [
        (request_id, segment) for segment in range(3) for request_id in (4, 5)
    ]
    assert [request.payload for request in taken.requests] == sent.payloads * 3
    for number in range(2):
        together = [torch.cat(taken.split(number)[of::2]) for of in range(2)]
        assert all(map(torch.equal, together, sent.split(number)))


class Logits(Step):
    """Its results are the classes of its rows."""

    def results(self, output: Batch) -> Sequence[Any]:
        return top1_of_each(output.tensors[0], output.num_rows())


class Payloads(Step):
    """Its results are its payloads."""


class TooFew(Step):
    def results(self, output: Batch) -> Sequence[Any]:
        return output.payloads[1:]


def finish(cls: type[Step], batch: Batch) -> Any:
    table = make_table()
    delivery = ResultDelivery(cls(cls.Options(), Context()), table, fail=table.fail)
    delivery.deliver(batch, None, is_filled=False)
    return table


def test_the_result_of_each_request_comes_from_its_own_rows() -> None:
    logits = torch.tensor([[0.0, 2.0], [3.0, 0.0], [4.0, 0.0]])
    table = finish(Logits, batch_of({4: (1,), 2: (2,)}, logits))
    assert table.outcomes["label"][[4, 2]].tolist() == [1, 0]
    assert (table.outcomes["status"][[4, 2]] == FINISHED).all()
    assert table.count(FINISHED) == 2


def test_the_result_of_a_step_is_its_payload_unless_it_says_otherwise() -> None:
    table = finish(
        Payloads, batch_of({4: (), 2: (), 3: ()}, payloads=[ClassAndScore(6, 0.25), {"a": 1}, b"x"])
    )
    assert (table.outcomes["label"][4], table.outcomes["score"][4]) == (6, 0.25)
    assert table.results() == {2: {"a": 1}, 3: b"x"}
    assert table.count(FINISHED) == 3


def test_a_result_that_cannot_be_kept_fails_its_request_alone() -> None:
    table = finish(Payloads, batch_of({4: (), 2: ()}, payloads=[{1, 2}, [1, 2]]))
    assert table.outcomes["status"][[4, 2]].tolist() == [FAILED, FINISHED]
    assert table.outcomes["reason"][4].startswith(b"the result is neither bytes nor JSON: ")
    assert table.results() == {2: [1, 2]}


def test_as_many_results_as_requests() -> None:
    with pytest.raises(OutputError, match="1 results for 2 requests"):
        finish(TooFew, batch_of({4: (), 2: ()}))


def test_messages_for_tests_are_as_those_of_a_delivery() -> None:
    pool, queue = make_pool(spec(4, 1)), make_queue()
    deliver(delivery_to(queue, pool=pool), batch_of({3: (1,), 4: (2,)}, numbered(3)))
    assert drain(queue) == [message_of(SlotRef(7, 0), {3: (1,), 4: (2,)})]
