"""Videos written with PyAV, by encoders that leave this process as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av


@contextmanager
def written(path: Path, container_options: dict[str, str] | None = None) -> Iterator[Any]:
    """A PyAV container to encode into, closed at the end.

    As root, SVT-AV1 makes the thread that starts it a real-time one, and so would be all that this starts.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        with av.open(str(path), "w", options=container_options or {}) as container:
            yield container
    finally:
        os.sched_setscheduler(0, policy, priority)
