"""One connection between two machines: frames of a head, a few bytes that say what it is, and raw bytes.

The raw bytes go from the memory of a slot to the kernel, and from the kernel to a slot: no copy in between.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from rnb.transport.fabric import Stop
from rnb.transport.tcp.connection import Cut, Hearing, set_up

_HEAD = struct.Struct("<BHqIQ")
_MOST_BUFFERS = 512
"""In one call; Linux takes up to 1,024."""
POLL_INTERVAL_S = 10e-6


class Kind(IntEnum):
    """What a frame is."""

    MESSAGE = 0
    """Of a queue; in the slot that the receiver has granted."""
    GRANT = 1
    """A slot of the sender of this frame is free."""
    LOAD = 2
    """How many messages have been taken from the queue of the sender of this frame."""
    CLOSE = 3
    """Nothing more comes on the channel."""
    PING = 4
    PONG = 5
    BYE = 6
    MEMORY = 8
    """Where the sender's slots are, for a carrier that writes into them itself."""
    BEAT = 7
    """The sender is there."""


class Head(NamedTuple):
    kind: Kind
    channel: int
    number: int
    """The slot, or how many messages."""
    num_meta_bytes: int
    num_bytes: int


class Link:
    """A connected socket; many threads send, one receives. Whoever waits raises Stopped at the run's end."""

    def __init__(self, connected: socket.socket, stop: Stop, *, poll_s: float = 0) -> None:
        """`poll_s`: how long who waits for a frame looks often; see Queue.take."""
        set_up(connected)
        self._socket, self._stop, self._poll_s = connected, stop, poll_s
        self._sending, self._hearing = threading.Lock(), Hearing()

    def send(
        self,
        kind: Kind,
        channel: int = 0,
        number: int = 0,
        meta: bytes = b"",
        buffers: Iterable[memoryview] = (),
    ) -> None:
        """Send a frame whole; raises Cut when the other end is gone."""
        parts = [buffer for buffer in buffers if len(buffer)]
        head = _HEAD.pack(kind, channel, number, len(meta), sum(map(len, parts)))
        with self._sending:
            self._send_all([memoryview(head + meta), *parts])

    def _send_all(self, parts: list[memoryview]) -> None:
        while parts:
            try:
                sent = self._socket.sendmsg(parts[:_MOST_BUFFERS])
            except BlockingIOError:
                self._stop.check()
                continue
            except OSError as error:
                raise Cut(str(error)) from None
            parts = _rest(parts, sent)

    def receive_head(self) -> Head:
        """Wait for a frame; raises Cut when the other end is gone."""
        self._poll()
        kind, *rest = _HEAD.unpack(self.receive(_HEAD.size))
        return Head(Kind(kind), *rest)

    def receive(self, num_bytes: int) -> bytearray:
        data = bytearray(num_bytes)
        self.receive_into(memoryview(data))
        return data

    def receive_into(self, target: memoryview) -> None:
        """Fill a buffer."""
        while len(target):
            try:
                received = self._socket.recv_into(target, 0, socket.MSG_WAITALL)
            except BlockingIOError:
                self._stop.check()
                self._hearing.check()
                continue
            except OSError as error:
                raise Cut(str(error)) from None
            if not received:
                raise Cut("closed by the other end")
            self._hearing.note()
            target = target[received:]

    def _poll(self) -> None:
        """Look often for a frame, as a core that sleeps takes long to wake up."""
        deadline = time.monotonic() + self._poll_s
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # nothing yet; what else it is, who receives will say
                if self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    return
            time.sleep(POLL_INTERVAL_S)

    def close(self) -> None:
        self._socket.close()


def _rest(parts: Sequence[memoryview], sent: int) -> list[memoryview]:
    """What is left of the parts after so many bytes."""
    for number, part in enumerate(parts):
        if sent < len(part):
            return [part[sent:], *parts[number + 1 :]]
        sent -= len(part)
    return []
