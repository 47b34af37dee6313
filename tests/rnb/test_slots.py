"""Slots in CPU memory: taken, written, read and released, never twice at once."""

import multiprocessing
import threading

import pytest
import torch

from rnb.slots import SlotLayout, SlotPool
from rnb.stop import StopFlag, Stopped, Termination

CONTEXT = multiprocessing.get_context("spawn")
CPU = torch.device("cpu")


def make_pool(num_slots: int = 3, stop: StopFlag | None = None) -> SlotPool:
    layout = SlotLayout(shapes=((4, 2), (3, 5)), dtype=torch.float32)
    pool = SlotPool(layout=layout, num_slots=num_slots, device=CPU, context=CONTEXT, stop=stop or StopFlag())
    pool.allocate()
    return pool


def test_the_tensors_of_all_slots_are_apart() -> None:
    pool = make_pool()
    tensors = [tensor for index in range(3) for tensor in pool.tensors(index)]
    assert [tuple(tensor.shape) for tensor in tensors] == [(4, 2), (3, 5)] * 3
    for number, tensor in enumerate(tensors):
        tensor.fill_(number)
    assert all(tensor.eq(number).all() for number, tensor in enumerate(tensors))


def test_a_layout_counts_its_bytes_with_alignment() -> None:
    assert make_pool().layout.num_bytes == 512 + 512
    assert SlotLayout(shapes=((15, 3, 8, 112, 112),), dtype=torch.uint8).num_bytes == 15 * 3 * 8 * 112 * 112


def test_take_waits_for_a_release() -> None:
    pool = make_pool(num_slots=2)
    assert {pool.take(), pool.take()} == {0, 1}
    threading.Timer(0.05, pool.release, [1]).start()
    assert pool.take() == 1


def test_take_gives_up_when_the_run_stops() -> None:
    stop = StopFlag()
    pool = make_pool(num_slots=1, stop=stop)
    pool.take()
    stop.raise_flag(Termination.PROCESS_FAILED)
    with pytest.raises(Stopped):
        pool.take()


def double_and_release(pool: SlotPool, indices: list[int]) -> None:
    pool.attach(b"")
    for index in indices:
        for tensor in pool.tensors(index):
            tensor *= 2
        pool.release(index)


def test_another_process_reads_writes_and_releases_them() -> None:
    pool = make_pool(num_slots=2)
    taken = [pool.take(), pool.take()]
    for index in taken:
        for tensor in pool.tensors(index):
            tensor.fill_(index + 1)
    reader = CONTEXT.Process(target=double_and_release, args=(pool, taken))
    reader.start()
    assert {pool.take(), pool.take()} == set(taken)
    reader.join(30)
    assert [pool.tensors(index)[1].mean().item() for index in (0, 1)] == [2, 4]
