"""Which output queue a result goes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnb.queues import MessageQueue

DEFAULT_SELECTOR = "rnb.selectors.RoundRobinSelector"


class Selector:
    """Chooses among the output queues of a replica, of which there are `num_queues`.

    A subclass whose constructor also names `queues` gets the queues themselves, to look at their depth.
    """

    def __init__(self, num_queues: int) -> None:
        self.num_queues = num_queues

    def select(self, tensors: Any, non_tensors: Any, time_card: Any) -> int:
        """The index of the queue for this output, from 0 to num_queues - 1."""
        raise NotImplementedError


class RoundRobinSelector(Selector):
    """Each queue in turn."""

    def __init__(self, num_queues: int) -> None:
        super().__init__(num_queues)
        self._next = num_queues - 1

    def select(self, tensors: Any, non_tensors: Any, time_card: Any) -> int:
        self._next = (self._next + 1) % self.num_queues
        return self._next


class LeastLoadedSelector(Selector):
    """The queue with the fewest waiting messages; the first of them when several have as few."""

    def __init__(self, num_queues: int, queues: Sequence[MessageQueue]) -> None:
        super().__init__(num_queues)
        self._queues = queues

    def select(self, tensors: Any, non_tensors: Any, time_card: Any) -> int:
        return min(range(self.num_queues), key=lambda index: self._queues[index].depth())


class ClipCountSelector(Selector):
    """Small requests (fewer than `min_large_clips` clips) to queue 0, large ones to queue 1.

    RnB's sampler makes requests of 1 and of 15 clips; the bound lies half way.
    """

    min_large_clips = 8

    def __init__(self, num_queues: int) -> None:
        if num_queues != 2:
            raise ValueError(
                f"{type(self).__name__} needs two output queues, one small and one large; not {num_queues}"
            )
        super().__init__(num_queues)

    def select(self, tensors: Any, non_tensors: Any, time_card: Any) -> int:
        return int(tensors[0].shape[0] >= self.min_large_clips)
