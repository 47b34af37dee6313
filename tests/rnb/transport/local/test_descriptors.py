"""A process can be told of more memory than one message of the kernel has descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np
import pytest

from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.shared_memory import SharedMemory

NUM_MEMORIES = 300


def add_one_to_each(connection: Connection, memories: Sequence[SharedMemory]) -> None:
    for memory in memories:
        memory.array("int64", (1,))[:] += 1
    connection.send(len(memories))


@pytest.mark.parametrize("imported", [(), ("numpy",)], ids=["spawned", "forked"])
def test_all_memory_is_shared_with_a_process(imported: tuple[str, ...]) -> None:
    fabric = LocalFabric(imported)
    memories = [SharedMemory(8) for _ in range(NUM_MEMORIES)]
    for number, memory in enumerate(memories):
        memory.array("int64", (1,))[:] = number
    ours, theirs = fabric.pipe()
    process = fabric.process(name="adds", target=add_one_to_each, args=(theirs, memories))
    process.start()
    assert ours.poll(60)
    assert ours.recv() == NUM_MEMORIES
    process.join(30)
    values = [int(memory.array("int64", (1,))[0]) for memory in memories]
    assert values == (np.arange(NUM_MEMORIES) + 1).tolist()
