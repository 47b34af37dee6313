"""The batcher keeps copies, packs in order, and gives out what is left."""

from __future__ import annotations

import torch

from rnb.contract.request import TensorSpec
from rnb.contract.step import Context
from rnb.pipeline.batcher import Batcher
from tests.support.underway import batch_of


def batcher_of(batch: int) -> Batcher:
    return Batcher(Batcher.Options(batch=batch), Context())


def test_a_batch_keeps_what_the_slot_held_at_the_time() -> None:
    batcher, slot = batcher_of(3), torch.zeros(2, 1)
    for request_id in range(3):
        slot.fill_(request_id)  # the slot is reused from call to call
        output = batcher(batch_of({request_id: (2,)}, slot, payloads=[f"v{request_id}"]))
    assert output is not None
    assert output.checked().tensors[0].flatten().tolist() == [0, 0, 1, 1, 2, 2]
    assert output.payloads == ["v0", "v1", "v2"]
    assert output.ids == [0, 1, 2]


def test_an_incomplete_batch_comes_out_on_flush() -> None:
    batcher = batcher_of(3)
    assert batcher(batch_of({0: (2,)}, torch.ones(2, 1))) is None
    output = batcher.flush()
    assert output is not None
    assert output.ids == [0]
    assert batcher.flush() is None


def test_a_batch_of_one_passes_through() -> None:
    batch = batch_of({0: (2,)}, torch.ones(2, 1), payloads=["v"])
    assert batcher_of(1)(batch) is batch


def test_tensors_of_several_types_and_row_counts_are_packed_each_by_itself() -> None:
    batcher = batcher_of(2)
    frames, boxes = torch.arange(4.0), torch.arange(4, dtype=torch.int64)
    assert batcher(batch_of({0: (1, 3)}, frames[:1], boxes[:3])) is None
    output = batcher(batch_of({1: (3, 1)}, frames[1:], boxes[3:]))
    assert output is not None
    assert output.checked().rows == ((1, 3), (3, 1))
    assert [tensor.tolist() for tensor in output.tensors] == [[0, 1, 2, 3]] * 2
    assert [tensor.dtype for tensor in output.tensors] == [torch.float32, torch.int64]


def test_requests_without_tensors_are_packed_too() -> None:
    batcher = batcher_of(2)
    assert batcher(batch_of({3: ()})) is None
    output = batcher(batch_of({5: ()}))
    assert output is not None
    assert (output.checked().ids, output.tensors) == ([3, 5], ())


def test_its_output_has_the_rows_of_the_whole_batch() -> None:
    inputs = (TensorSpec((11, 2)), TensorSpec((22, 4), "int32"))
    layout = Batcher.output(Batcher.Options(batch=3), inputs)
    assert layout == (TensorSpec((33, 2)), TensorSpec((66, 4), "int32"))
