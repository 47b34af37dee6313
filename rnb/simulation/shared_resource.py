"""What calls share: the cores of the machine, or a GPU. Where they ask for more than that, all slow down."""

from __future__ import annotations

import heapq

from rnb.simulation.calendar import Calendar, Resume


class SharedResource:
    """Calls that run at once, each with its demand; above the capacity all are slowed by the same factor,
    demand over capacity (egalitarian processor sharing: Kleinrock, 'Time-shared systems', 1967).

    Work is counted in the time that a call takes alone. `_done_ns` grows by one for each ns that a call runs
    unslowed, so the one that ends next is the one with the least end on that scale.
    """

    __slots__ = ("_calendar", "_capacity", "_demand", "_done_ns", "_running", "_since_ns", "_version")

    def __init__(self, calendar: Calendar, capacity: float) -> None:
        self._calendar, self._capacity = calendar, capacity
        self._demand, self._done_ns, self._since_ns, self._version = 0.0, 0.0, 0, 0
        self._running: list[tuple[float, int, float, Resume]] = []

    def work(self, work_ns: int, demand: float, resume: Resume) -> None:
        """Do so much work, then resume."""
        self._advance()
        heapq.heappush(self._running, (self._done_ns + work_ns, self._calendar.number(), demand, resume))
        self._demand += demand
        self._plan()

    @property
    def _slowdown(self) -> float:
        return max(1.0, self._demand / self._capacity)

    def _advance(self) -> None:
        self._done_ns += (self._calendar.now_ns - self._since_ns) / self._slowdown
        self._since_ns = self._calendar.now_ns

    def _plan(self) -> None:
        """The next end; what was planned before is void."""
        self._version += 1
        if self._running:
            left_ns = max(0.0, self._running[0][0] - self._done_ns) * self._slowdown
            self._calendar.at(self._calendar.now_ns + round(left_ns), self._end, self._version)

    def _end(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        _, _, demand, resume = heapq.heappop(self._running)
        self._demand = self._demand - demand if self._running else 0.0
        self._plan()
        resume(None)
