"""Ctrl-C, SIGTERM and SIGHUP end a run, and leave its folder."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from rnb.play import Interruption

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def stop_on_signals(interruption: Interruption) -> Iterator[Interruption]:
    """While inside, a signal interrupts the run instead of the process. For the main thread.

    Gives what is set by signals alone, also by one that came when the run was over, or ending already.
    """
    asked_for = Interruption()

    def on_signal(signum: int, frame: object) -> None:
        asked_for.set()
        interruption.set()

    previous = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield asked_for
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
