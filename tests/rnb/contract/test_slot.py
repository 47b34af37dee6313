"""Where tensors lie in a slot."""

from __future__ import annotations

from rnb.contract.request import ITEM_BYTES, TensorSpec
from rnb.contract.slot import ALIGNMENT_BYTES, slot_bytes, tensor_bytes


def test_each_tensor_takes_whole_units() -> None:
    assert tensor_bytes(TensorSpec((1, 1), "uint8")) == ALIGNMENT_BYTES
    assert tensor_bytes(TensorSpec((512,), "uint8")) == 512
    assert tensor_bytes(TensorSpec((513,), "uint8")) == 1024


def test_a_slot_is_the_sum_of_its_tensors() -> None:
    assert slot_bytes((TensorSpec((4, 2)), TensorSpec((3, 5), "int64"))) == 512 + 512
    assert slot_bytes((TensorSpec((15, 3, 8, 112, 112), "uint8"),)) == 15 * 3 * 8 * 112 * 112
    assert slot_bytes(()) == 0


def test_the_number_types_have_torchs_names_and_sizes() -> None:
    import torch

    assert {name: getattr(torch, name).itemsize for name in ITEM_BYTES} == ITEM_BYTES
