"""snuspl/rnb's `selector` module."""

from rnb.pipeline.compat.former_selectors import RoundRobinSelector, Selector

__all__ = ["QueueSelector", "RoundRobinSelector", "Selector"]

QueueSelector = Selector
