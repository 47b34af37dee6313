"""What the workers of a replica that take turns have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Shared:
    """One object for all of them: that which the first to come makes."""

    def __init__(self) -> None:
        self._lock, self._made = threading.Lock(), list[Any]()

    def __call__(self, make: Callable[[], Any], *, settle: Callable[[], None] = lambda: None) -> Any:
        """`settle`: waits until all is done that this worker's stream has to do: others have their own."""
        with self._lock:
            if not self._made:
                self._made.append(make())
                settle()
            return self._made[0]
