"""Messages go through a queue whole, whatever they carry."""

from __future__ import annotations

from rnb.contract.request import Request
from rnb.transport.message import Message, SlotRef
from tests.support.underway import make_queue


def test_a_message_keeps_the_rows_of_each_tensor_and_all_that_is_said_of_its_requests() -> None:
    message = Message(
        SlotRef(3, 1),
        (Request(4, {"boxes": 2}, 1, 3, {"sequence": "a", "deadline_ms": 5}), Request(5, (1, "b"))),
        ((1, 4), (2, 0)),
    )
    queue = make_queue()
    queue.put(message)
    taken = queue.take(0)
    assert taken == message
    assert isinstance(taken.requests[0], Request)
    assert taken.requests[0].whole.parameters == {"sequence": "a", "deadline_ms": 5}


def test_a_message_without_a_slot() -> None:
    queue, message = make_queue(), Message(None, (Request(0, "a.mp4"),), ((),))
    queue.put(message)
    assert queue.take(0) == message
