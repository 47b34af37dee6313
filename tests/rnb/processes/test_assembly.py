"""A call's tensors: the slot itself where that works, else all rows of its requests in order."""

from __future__ import annotations

import torch

from rnb.contract.device import CPU
from rnb.contract.request import TensorSpec
from rnb.processes.assembly import Assembly
from rnb.transport.local.slots import SlotPool
from rnb.transport.message import SlotRef
from tests.support.underway import make_pool, pieces_of

INPUTS = (TensorSpec((4, 1)), TensorSpec((2, 3), "int32"))


def filled_pool(first: float) -> SlotPool:
    """Every row of a slot's tensors holds `first` + 100 x slot + row."""
    pool = make_pool(*INPUTS, num_slots=3)
    for slot in range(3):
        for tensor in pool.tensors(slot):
            tensor[:] = (first + 100 * slot + torch.arange(len(tensor)))[:, None]
    return pool


def assembly_of(pools: dict[int, SlotPool], *, num_messages: int = 1, in_place: bool = True) -> Assembly:
    most_rows = INPUTS[0].most_rows * num_messages
    return Assembly(pools, CPU, inputs=INPUTS, most_rows=most_rows, in_place=in_place)


def test_one_message_is_read_where_it_lies() -> None:
    pool = filled_pool(0)
    tensors = assembly_of({0: pool}).tensors(pieces_of(0, SlotRef(0, 1), {5: (2, 1), 6: (1, 1)}))
    assert [tensor[:, 0].tolist() for tensor in tensors] == [[100, 101, 102], [100, 101]]
    assert [one.data_ptr() for one in tensors] == [one.data_ptr() for one in pool.tensors(1)]
    assert [tensor.dtype for tensor in tensors] == [torch.float32, torch.int32]


def test_one_request_of_a_packed_message() -> None:
    pieces = pieces_of(0, SlotRef(0, 0), {5: (1, 1), 6: (2, 0), 7: (1, 1)})
    tensors = assembly_of({0: filled_pool(0)}).tensors(pieces[1:2])
    assert [tensor[:, 0].tolist() for tensor in tensors] == [[1, 2], []]


def test_a_step_that_may_keep_its_input_gets_a_copy() -> None:
    pool = filled_pool(0)
    tensors = assembly_of({0: pool}, in_place=False).tensors(pieces_of(0, SlotRef(0, 0), {5: (2, 2)}))
    for tensor in pool.tensors(0):
        tensor.zero_()
    assert [tensor[:, 0].tolist() for tensor in tensors] == [[0, 1], [0, 1]]


def test_several_messages_are_put_together_in_order() -> None:
    pools = {3: filled_pool(0), 8: filled_pool(1000)}
    assembly = assembly_of(pools, num_messages=3)
    for _ in range(2):  # the buffer is used again
        pieces = [
            *pieces_of(0, SlotRef(8, 2), {5: (2, 1), 6: (1, 1)}),
            *pieces_of(1, SlotRef(3, 0), {7: (4, 2)}),
        ]
        tensors = assembly.tensors(pieces)
        assert tensors[0][:, 0].tolist() == [1200, 1201, 1202, 0, 1, 2, 3]
        assert tensors[1][:, 2].tolist() == [1200, 1201, 0, 1]
        assert tensors[1].dtype == torch.int32


def test_a_batch_as_large_as_can_be() -> None:
    pieces = [piece for slot in range(3) for piece in pieces_of(slot, SlotRef(0, slot), {slot: (4, 2)})]
    tensors = assembly_of({0: filled_pool(0)}, num_messages=3).tensors(pieces)
    assert [tuple(tensor.shape) for tensor in tensors] == [(12, 1), (6, 3)]


def test_what_was_put_together_may_be_kept_too() -> None:
    assembly = assembly_of({0: filled_pool(0)}, num_messages=2, in_place=False)
    pieces = [piece for slot in (0, 1) for piece in pieces_of(slot, SlotRef(0, slot), {slot: (1, 1)})]
    kept = assembly.tensors(pieces)
    assembly.tensors(list(reversed(pieces)))
    assert [tensor[:, 0].tolist() for tensor in kept] == [[0, 100], [0, 100]]


def test_a_packed_message_without_the_request_in_its_middle() -> None:
    # As after a RequestError, though the step takes no more than one message at a time.
    pieces = pieces_of(0, SlotRef(0, 1), {5: (1, 1), 6: (2, 0), 7: (1, 1)})
    tensors = assembly_of({0: filled_pool(0)}).tensors([pieces[0], pieces[2]])
    assert [tensor[:, 0].tolist() for tensor in tensors] == [[100, 103], [100, 101]]


def test_a_message_without_a_slot_has_no_tensors() -> None:
    assembly = Assembly({}, CPU, inputs=(), most_rows=0, in_place=True)
    assert assembly.tensors(pieces_of(0, None, {5: ()})) == ()
