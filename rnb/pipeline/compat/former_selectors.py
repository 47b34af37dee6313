"""The selector interface of RnB 0.1, and its selectors under the names that configs have."""

from __future__ import annotations

from typing import Any

from rnb.pipeline.selectors import ClipCountSelector, LeastLoadedSelector, RoundRobinSelector

__all__ = ["ClipCountSelector", "LeastLoadedSelector", "RoundRobinSelector", "Selector"]


class Selector:
    """Chooses by the three values that a step of before returns."""

    def __init__(self, num_queues: int) -> None:
        self.num_queues = num_queues

    def select(self, tensors: Any, non_tensors: Any, time_card: Any) -> int:
        raise NotImplementedError
