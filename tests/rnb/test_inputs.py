"""A call's tensors: the slot itself where that works, else all rows of its requests in order."""

from __future__ import annotations

import torch

from rnb.inputs import Inputs
from rnb.message import SlotRef
from rnb.slots import SlotPool
from tests.support.cards import CPU, make_pool, part, pieces_of

SHAPES = ((4, 1), (2, 3))


def filled_pool(first: float) -> SlotPool:
    """Every row of a slot's tensors holds `first` + 100 x slot + row."""
    pool = make_pool(*SHAPES, num_slots=3)
    for slot in range(3):
        for tensor in pool.tensors(slot):
            tensor[:] = (first + 100 * slot + torch.arange(len(tensor)))[:, None]
    return pool


def make_inputs(pools: dict[int, SlotPool], *, num_messages: int = 1, in_place: bool = True) -> Inputs:
    most_rows = SHAPES[0][0] * num_messages
    return Inputs(pools, CPU, shapes=SHAPES, most_rows=most_rows, in_place=in_place)


def test_one_message_is_read_where_it_lies() -> None:
    pool = filled_pool(0)
    pieces = pieces_of(0, SlotRef(0, 1), [part(5, 2, 1), part(6, 1, 1)])
    tensors = make_inputs({0: pool}).assemble(pieces)
    assert tensors is not None
    assert [tensor[:, 0].tolist() for tensor in tensors] == [[100, 101, 102], [100, 101]]
    assert tensors[0].data_ptr() == pool.tensors(1)[0].data_ptr()


def test_one_request_of_a_packed_message() -> None:
    pieces = pieces_of(0, SlotRef(0, 0), [part(5, 1, 1), part(6, 2, 0), part(7, 1, 1)])
    tensors = make_inputs({0: filled_pool(0)}).assemble(pieces[1:2])
    assert tensors is not None
    assert [tensor[:, 0].tolist() for tensor in tensors] == [[1, 2], []]


def test_a_step_that_may_keep_its_input_gets_a_copy() -> None:
    pool = filled_pool(0)
    tensors = make_inputs({0: pool}, in_place=False).assemble(pieces_of(0, SlotRef(0, 0), [part(5, 2, 2)]))
    pool.tensors(0)[0].zero_()
    assert tensors is not None
    assert tensors[0][:, 0].tolist() == [0, 1]


def test_several_messages_are_put_together_in_order() -> None:
    pools = {3: filled_pool(0), 8: filled_pool(1000)}
    inputs = make_inputs(pools, num_messages=3)
    for _ in range(2):  # the buffer is used again
        pieces = [
            *pieces_of(0, SlotRef(8, 2), [part(5, 2, 1), part(6, 1, 1)]),
            *pieces_of(1, SlotRef(3, 0), [part(7, 4, 2)]),
        ]
        tensors = inputs.assemble(pieces)
        assert tensors is not None
        assert tensors[0][:, 0].tolist() == [1200, 1201, 1202, 0, 1, 2, 3]
        assert tensors[1][:, 2].tolist() == [1200, 1201, 0, 1]


def test_a_batch_as_large_as_can_be() -> None:
    inputs = make_inputs({0: filled_pool(0)}, num_messages=3)
    pieces = [piece for slot in range(3) for piece in pieces_of(slot, SlotRef(0, slot), [part(slot, 4, 2)])]
    tensors = inputs.assemble(pieces)
    assert tensors is not None
    assert [tuple(tensor.shape) for tensor in tensors] == [(12, 1), (6, 3)]


def test_a_packed_message_without_the_request_in_its_middle() -> None:
    # As after a RequestError, though the step takes no more than one message at a time.
    pieces = pieces_of(0, SlotRef(0, 1), [part(5, 1, 1), part(6, 2, 0), part(7, 1, 1)])
    tensors = make_inputs({0: filled_pool(0)}).assemble([pieces[0], pieces[2]])
    assert tensors is not None
    assert [tensor[:, 0].tolist() for tensor in tensors] == [[100, 103], [100, 101]]


def test_a_message_without_a_slot_has_no_tensors() -> None:
    inputs = Inputs({}, CPU, shapes=None, most_rows=0, in_place=True)
    assert inputs.assemble(pieces_of(0, None, [part(5)])) is None
