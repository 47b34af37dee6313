"""The slots of a simulated replica, and who waits for one."""

from __future__ import annotations

from collections import deque

from rnb.simulation.calendar import Calendar, Resume


class Slots:
    """As many permits as the pool has slots; who waits longest is served first. A turn is a pool of one."""

    __slots__ = ("calendar", "num_free", "waiters")

    def __init__(self, calendar: Calendar, num_slots: int) -> None:
        self.calendar, self.num_free = calendar, num_slots
        self.waiters: deque[Resume] = deque()

    def take(self, resume: Resume) -> bool:
        """Take one; False where there is none, and then `resume` is called with the one that gets free."""
        if self.num_free:
            self.num_free -= 1
            return True
        self.waiters.append(resume)
        return False

    def release(self) -> None:
        if self.waiters:
            self.calendar.at(self.calendar.now_ns, self.waiters.popleft())
        else:
            self.num_free += 1
