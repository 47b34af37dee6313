"""Ctrl-C, SIGTERM and SIGHUP end a run, and leave its folder."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from rnb.play import Interruption

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def stop_on_signals(interruption: Interruption) -> Iterator[None]:
    """While inside, a signal interrupts the run instead of the process. For the main thread."""

    def on_signal(signum: int, frame: object) -> None:
        interruption.set()

    previous = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
