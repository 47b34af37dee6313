"""What an observer does inside every runner process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Tell = Callable[[Any], None]
"""Sends something to the observer, which gets it by the name of the runner."""


class Probe(Protocol):
    """It is pickled and goes to each runner with its task."""

    observer: str
    """The name of the observer that it belongs to."""

    def prepare(self, tell: Tell) -> None:
        """Before the runner's first work on its device."""

    def start(self, start_ns: int) -> None:
        """Right before the timed part, which begins at `start_ns`."""

    def stop(self) -> None:
        """When this runner's work is done, or given up."""
