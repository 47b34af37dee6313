"""The fabric makes what joins the processes of a run, and all of it reaches its processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.contract.device import CPU
from rnb.contract.events import DUE, SENT
from rnb.contract.request import Request, TensorSpec
from rnb.contract.termination import Termination
from rnb.transport.fabric import ControlLine, Fabric, Pool, Queue, Table
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.message import Message, SlotRef


def serve(line: ControlLine, queue: Queue, pool: Pool, table: Table, shared: tuple[Any, Any]) -> None:
    """Doubles what lies in a slot, and tells what it has got."""
    texts, numbers = shared
    pool.attach(b"")
    message = queue.of_reader(0).take(30)
    (request,), slot = message.requests, message.slot
    assert slot is not None
    for tensor in pool.tensors(slot.number):
        tensor *= 2
    pool.release(slot.number)
    stamp = table.stamp(SENT)
    assert stamp is not None
    stamp(request, 17)
    table.finish(request.id, {"texts": list(texts), "numbers": numbers.values.tolist()})
    line.stop.raise_flag(Termination.INTERRUPTED)
    line.tell("done", request)
    line.wait_for_exit()


@pytest.mark.parametrize("imported", [(), ("torch",)], ids=["spawned", "forked"])
def test_all_of_it_crosses_to_a_process(imported: tuple[str, ...]) -> None:
    fabric: Fabric = LocalFabric(imported)
    queue = fabric.queue("filename queue", capacity=3, num_writers=1)
    pool = fabric.pool(layout=(TensorSpec((2, 3)), TensorSpec((4,), "int64")), num_slots=2, device=CPU)
    table = fabric.table(num_requests=3, events=(DUE, SENT))
    shared = fabric.texts(["a.mp4", "é"]), fabric.numbers(np.array([3, 4]))
    ours, theirs = fabric.line()
    process = fabric.process(name="step 0.0", target=serve, args=(theirs, queue, pool, table, shared))
    assert process.name == "step 0.0"

    pool.allocate()
    slot = pool.take()
    for tensor in pool.tensors(slot):
        tensor.fill_(21)
    request = Request(1, {"any": "payload"}, parameters={"key": 4})
    process.start()
    theirs.close()
    queue.put(Message(SlotRef(0, slot), (request,), ((2, 4),)))
    assert ours.poll(60)
    assert ours.recv() == ("done", request)
    ours.send(("exit", None))
    process.join(30)

    assert process.exitcode == 0
    assert [tensor.unique().tolist() for tensor in pool.tensors(slot)] == [[42], [42]]
    assert {pool.take(), pool.take()} == {0, 1}
    assert table.column(SENT).tolist() == [0, 17, 0]
    assert table.results() == {1: {"texts": ["a.mp4", "é"], "numbers": [3, 4]}}
    assert fabric.stop.reason is Termination.INTERRUPTED


def test_its_clock_is_monotonic_and_knows_the_epoch() -> None:
    import time

    clock = LocalFabric().clock
    assert clock.now_ns() <= clock.now_ns()
    assert abs(clock.now_ns() + clock.epoch_offset_ns() - time.time_ns()) < 1_000_000_000
