"""snuspl/rnb's `selector` module."""

from rnb.selectors import RoundRobinSelector, Selector

__all__ = ["RoundRobinSelector", "Selector"]
