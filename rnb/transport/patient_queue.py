"""The writing end of a queue for whoever may wait, as a full one must not end what serves."""

from __future__ import annotations

import time

from rnb.transport.fabric import QueueFull, Stop, WritingEnd
from rnb.transport.message import Message

WAIT_S = 0.002


class PatientQueue:
    """A WritingEnd that waits."""

    def __init__(self, queue: WritingEnd, stop: Stop) -> None:
        self._queue, self._stop = queue, stop

    @property
    def name(self) -> str:
        return self._queue.name

    def put(self, message: Message) -> None:
        """Append a message when there is room; raises Stopped when the run ends first."""
        while True:
            try:
                return self._queue.put(message)
            except QueueFull:
                self._stop.check()
                time.sleep(WAIT_S)

    def put_back(self, message: Message) -> None:
        self._queue.put_back(message)

    def depth(self) -> int:
        return self._queue.depth()

    def close(self) -> None:
        self._queue.close()
