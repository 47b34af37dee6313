"""NIXL writes rows into the slots of another node, and who lacks it is told how to get it."""

from __future__ import annotations

import sys

import pytest
import torch

from rnb.contract.device import CPU
from rnb.contract.request import TensorSpec
from rnb.contract.termination import UsageError
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.slots import SlotPool
from rnb.transport.nixl import Nixl, check_nixl

LAYOUT = (TensorSpec((6, 3)), TensorSpec((5,), "int64"))


def test_where_it_is_not_installed_it_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nixl", None)
    with pytest.raises(UsageError, match=r"^--carrier nixl: needs NIXL: pip install 'rnb\[nixl\]'$"):
        check_nixl()


@pytest.fixture
def pool() -> SlotPool:
    pytest.importorskip("nixl", reason="needs NIXL: pip install 'rnb[nixl]'")
    pool = LocalFabric().pool(layout=LAYOUT, num_slots=3, device=CPU)
    pool.allocate()
    return pool


@pytest.fixture
def ends(pool: SlotPool) -> tuple[Nixl, Nixl]:
    fabric = LocalFabric()
    here, there = Nixl("here", fabric.stop), Nixl("there", fabric.stop)
    here.join(there.offer({4: pool}))
    return here, there


def test_rows_arrive_in_the_slot_that_was_granted(pool: SlotPool, ends: tuple[Nixl, Nixl]) -> None:
    here, _ = ends
    rows, numbers = torch.arange(12.0), torch.arange(5)
    here.register([rows, numbers])
    here.write(4, 1, [rows.view(torch.uint8).numpy().data, numbers.view(torch.uint8).numpy().data])
    assert pool.tensors(1)[0][:4].reshape(-1).tolist() == rows.tolist()
    assert pool.tensors(1)[1].tolist() == numbers.tolist()
    for other in (0, 2):
        assert not any(tensor.any() for tensor in pool.tensors(other))


def test_a_tensor_without_rows_leaves_the_others(pool: SlotPool, ends: tuple[Nixl, Nixl]) -> None:
    here, _ = ends
    numbers = torch.arange(5)
    here.register([numbers])
    here.write(4, 0, [memoryview(b""), numbers.view(torch.uint8).numpy().data])
    assert not pool.tensors(0)[0].any()
    assert pool.tensors(0)[1].tolist() == numbers.tolist()
