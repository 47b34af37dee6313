"""Slots: taken, written, read and released, never twice at once; they stay, or say that they did not."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import torch

from rnb.contract.device import Device
from rnb.contract.request import TensorSpec
from rnb.contract.slot import slot_bytes
from rnb.contract.termination import Termination
from rnb.transport.fabric import SlotsLost, Stopped
from rnb.transport.local.slots import SlotPool, _pickler
from rnb.transport.local.stop import StopFlag
from tests.support.underway import CONTEXT, make_pool

SPECS = (TensorSpec((4, 2)), TensorSpec((3, 5), "int32"))


def gpu_pool() -> SlotPool:
    """One whose slots are its producer's, over CPU memory."""
    pool = SlotPool(layout=SPECS, num_slots=2, device=Device("cuda", 0), context=CONTEXT, stop=StopFlag())
    pool._use(torch.zeros(2 * slot_bytes(SPECS), dtype=torch.uint8))
    return pool


def test_the_tensors_of_all_slots_are_apart() -> None:
    pool = make_pool(*SPECS, num_slots=3)
    tensors = [tensor for index in range(3) for tensor in pool.tensors(index)]
    assert [tuple(tensor.shape) for tensor in tensors] == [(4, 2), (3, 5)] * 3
    assert [tensor.dtype for tensor in tensors] == [torch.float32, torch.int32] * 3
    for number, tensor in enumerate(tensors):
        tensor.fill_(number)
    assert all(tensor.eq(number).all() for number, tensor in enumerate(tensors))


def test_every_number_type_lies_where_it_may() -> None:
    specs = [TensorSpec((3, 1), name) for name in ("uint8", "float64", "bool", "int16", "bfloat16")]
    tensors = make_pool(*specs, num_slots=2).tensors(1)
    assert [str(tensor.dtype) for tensor in tensors] == [f"torch.{spec.dtype}" for spec in specs]
    assert all(tensor.data_ptr() % tensor.element_size() == 0 for tensor in tensors)


def test_take_waits_for_a_release() -> None:
    pool = make_pool(*SPECS, num_slots=2)
    assert {pool.take(), pool.take()} == {0, 1}
    threading.Timer(0.05, pool.release, [1]).start()
    assert pool.take() == 1


def test_take_gives_up_when_the_run_stops() -> None:
    stop = StopFlag()
    pool = make_pool(*SPECS, num_slots=1, stop=stop)
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
    pool = make_pool(*SPECS, num_slots=2)
    taken = [pool.take(), pool.take()]
    for index in taken:
        for tensor in pool.tensors(index):
            tensor.fill_(index + 1)
    reader = CONTEXT.Process(target=double_and_release, args=(pool, taken))
    reader.start()
    assert {pool.take(), pool.take()} == set(taken)
    reader.join(30)
    assert [pool.tensors(index)[1].double().mean().item() for index in (0, 1)] == [2, 4]


def produce_and_die(pool: SlotPool) -> None:
    pool.allocate()
    for tensor in pool.tensors(pool.take()):
        tensor.fill_(7)
    os.kill(os.getpid(), signal.SIGKILL)


def test_slots_whose_messages_wait_stay_when_the_others_are_taken_back() -> None:
    pool = make_pool(*SPECS, num_slots=3)
    pool.allocate()
    assert {pool.take() for _ in range(3)} == {0, 1, 2}
    pool.hold(2, 5)
    pool.reclaim(waiting=[1])
    assert pool.take() == 0
    with pytest.raises(Stopped):
        take_at_once(pool)
    pool.release(1)
    assert pool.take() == 1


def test_slots_in_cpu_memory_outlive_their_producer() -> None:
    pool = make_pool(*SPECS, num_slots=2)
    producer = CONTEXT.Process(target=produce_and_die, args=(pool,))
    producer.start()
    producer.join(60)
    assert producer.exitcode == -signal.SIGKILL
    assert pool.outlives_producer
    assert all(tensor.eq(7).all() for tensor in pool.tensors(0))
    assert pool.take() == 1  # the dead process still has the other one
    pool.hold(1, 4)
    pool.reclaim()
    assert pool.take() == 0
    pool.let_go(3)
    with pytest.raises(Stopped):
        take_at_once(pool)
    pool.let_go(4)
    assert pool.take() == 1


def take_at_once(pool: SlotPool) -> int:
    """Raises Stopped where none is free."""
    pool._stop.raise_flag(Termination.INTERRUPTED)
    return pool.take()


def test_a_slot_that_was_half_taken_or_half_released_comes_back() -> None:
    for half in ("take", "release"):
        pool = make_pool(*SPECS, num_slots=1)
        pool._free.acquire()
        if half == "release":
            pool._holders[0] = 0
        pool.reclaim()
        assert pool.take() == 0
        with pytest.raises(Stopped):
            take_at_once(pool)


def test_a_release_too_many_gives_no_slot_twice() -> None:
    pool = make_pool(*SPECS, num_slots=2)
    pool._free.release()
    assert {pool.take(), pool.take()} == {0, 1}
    with pytest.raises(Stopped):
        take_at_once(pool)


def test_it_waits_until_all_is_read() -> None:
    stop = StopFlag()
    pool = make_pool(*SPECS, num_slots=2, stop=stop)
    pool.wait_until_read()
    threading.Timer(0.05, pool.release, [pool.take()]).start()
    pool.wait_until_read()
    pool.take()
    stop.raise_flag(Termination.INTERRUPTED)
    with pytest.raises(Stopped):
        pool.wait_until_read()


def test_slots_that_are_their_producers_say_that_they_are_gone() -> None:
    pool = gpu_pool()
    assert not pool.outlives_producer
    pool.tensors(1)[0].fill_(3)
    assert pool.tensors(1)[0].eq(3).all()
    pool.reclaim()
    with pytest.raises(SlotsLost, match="the process that held these slots is gone"):
        pool.tensors(1)


def test_slots_of_the_next_producer_are_mapped_when_they_are_read() -> None:
    """The reader is a copy of the pool, as another process has it; the memory is the CPU's."""
    producer, reader = gpu_pool(), gpu_pool()
    reader._state, reader._free = producer._state, producer._free
    reader._open()
    reader._use(torch.zeros(2 * slot_bytes(SPECS), dtype=torch.uint8))
    for index in (0, 1):
        assert producer.take() == index
        reader.hold(index, 0)
    producer.reclaim()
    heir = gpu_pool()
    heir._state, heir._free = producer._state, producer._free
    heir._open()
    heir._use(torch.full((2 * slot_bytes(SPECS),), 1, dtype=torch.uint8))
    heir._publish(bytes(_pickler().dumps(heir.storage)))
    with pytest.raises(SlotsLost):
        reader.tensors(0)  # what it took lay in the memory of before
    reader.release(0)
    assert heir.take() == 0
    reader.hold(0, 0)
    assert reader.tensors(0)[1].eq(0x01010101).all()
    reader.release(1)


def read_lost(pool: SlotPool) -> None:
    with pytest.raises(SlotsLost):
        pool.tensors(0)


def test_all_processes_know_that_slots_are_lost() -> None:
    pool = gpu_pool()
    pool.reclaim()
    reader = CONTEXT.Process(target=read_lost, args=(pool,))
    reader.start()
    reader.join(60)
    assert reader.exitcode == 0
