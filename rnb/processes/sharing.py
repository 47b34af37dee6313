"""What the workers of a replica that take turns have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Shared:
    """One object for all of them: that which the first to come makes."""

    def __init__(self) -> None:
        self._lock, self._made = threading.Lock(), list[Any]()

    def __call__(self, make: Callable[[], Any]) -> Any:
        with self._lock:
            if not self._made:
                self._made.append(make())
            return self._made[0]
