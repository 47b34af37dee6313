"""How a connection between two machines behaves: it is quick, and notices an end that is gone or silent."""

from __future__ import annotations

import socket
import struct
import time

from rnb.transport.fabric import POLL_S, Stop

KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 5, 3, 4
"""A machine that answers nothing for 17 s is gone."""
BEAT_S = 2.0
"""Both ends of a connection say something at least so often."""
SILENCE_S = 15.0
"""Who says nothing for so long is taken to be gone, whatever the kernel and what lies between think."""
MOST_BETWEEN_S = 1.0
"""Who listens looks so often, if it runs."""
GRACE_S = 2.0
"""Who finds a connection cut waits so long for the driver to say why."""


class Cut(ConnectionError):
    """The other end is gone."""


def set_up(connected: socket.socket) -> None:
    """Whoever waits at this socket looks up every POLL_S, which raises BlockingIOError."""
    connected.settimeout(None)  # the kernel's own limits leave a whole buffer to one call
    whole = int(POLL_S)
    limit = struct.pack("ll", whole, int((POLL_S - whole) * 1e6))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    keep_alive(connected)


def keep_alive(connected: socket.socket) -> None:
    """Have the kernel notice a machine that is gone without a word."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
    most_ms = 1000 * (KEEPALIVE_IDLE_S + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, most_ms)


class Hearing:
    """For how long the other end has been silent while this one listened."""

    def __init__(self) -> None:
        self.note()

    def note(self) -> None:
        self._silent_s, self._last = 0.0, time.monotonic()

    def check(self) -> None:
        """To be called often by who has heard nothing. Raises Cut."""
        now = time.monotonic()
        self._silent_s += min(now - self._last, MOST_BETWEEN_S)  # more: this process was stopped itself
        self._last = now
        if self._silent_s > SILENCE_S:
            raise Cut(f"not a word for {SILENCE_S:g} s")


def wait_for_the_reason(stop: Stop) -> None:
    """After a cut: raises Stopped when the driver has ended the run meanwhile."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        stop.check()
        time.sleep(POLL_S)
