"""A lock of a simulated queue: those who write to it, or take from it, do so one after the other."""

from __future__ import annotations


class Lock:
    """Held for the same time by each, first come, first served."""

    __slots__ = ("free_ns", "hold_ns")

    def __init__(self, hold_ns: int) -> None:
        self.hold_ns, self.free_ns = hold_ns, 0

    def wait_ns(self, now_ns: int) -> int:
        """Get in line: how long until it is one's own. Holding it is among the costs of who holds it."""
        if not self.hold_ns:
            return 0
        started_ns = max(now_ns, self.free_ns)
        self.free_ns = started_ns + self.hold_ns
        return started_ns - now_ns
