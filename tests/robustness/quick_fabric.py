"""Runs that start within half a second: their processes are forked from one that has imported all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnb.processes.replicas import IMPORTED
from rnb.transport.local.fabric import LocalFabric
from rnb.transport.local.queues import MessageQueue
from rnb.transport.local.slots import SlotPool


class QuickFabric(LocalFabric):
    """The fabric of all runs but for how a process comes into being; it keeps what a run leaves in it."""

    def __init__(self, pool_class: type[SlotPool] = SlotPool) -> None:
        super().__init__((*IMPORTED, "tests.robustness.arithmetic_steps"))
        self.pool_class = pool_class
        self.queues: list[MessageQueue] = []
        self.pools: list[SlotPool] = []

    def queue(self, name: str, *, capacity: int, num_writers: int) -> MessageQueue:
        self.queues.append(super().queue(name, capacity=capacity, num_writers=num_writers))
        return self.queues[-1]

    def pool(self, **what: Any) -> SlotPool:
        self.pools.append(self.pool_class(**what, context=self._context, stop=self.stop))
        return self.pools[-1]

    def slots_kept(self) -> Sequence[str]:
        """The slots that nobody gave back, of a run that has ended."""
        return [
            f"{np.count_nonzero(pool._holders)} of {pool.num_slots}"
            for pool in self.pools
            if pool._holders.any()
        ]

    def messages_left(self) -> list[str]:
        """The queues in which something waits."""
        return [f"{queue.name}: {queue.depth()}" for queue in self.queues if queue.depth()]
