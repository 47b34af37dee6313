"""What calls share, the cores, a GPU, its video engines: where they ask for more than that, all slow down."""

from __future__ import annotations

import heapq

from rnb.simulation.calendar import Calendar, Resume

MOST_TAKEN = 0.9
"""Of the capacity: something is left for the calls themselves."""


def shared_by(device: str, *, decodes: bool) -> str:
    """What a call on a device ('cpu', 'cuda:0') shares with others: steps that decode on a GPU do so on its
    video engines."""
    return device.replace("cuda", "nvdec") if decodes else device


class SharedResource:
    """Calls that run at once, each with its demand; above the capacity all are slowed by the same factor,
    demand over capacity (egalitarian processor sharing: Kleinrock, 'Time-shared systems', 1967).

    Work is counted in the time that a call takes alone. `_done_ns` grows by one for each ns that a call runs
    unslowed, so the one that ends next is the one with the least end on that scale.
    """

    __slots__ = (
        "_calendar",
        "_capacity",
        "_demand",
        "_done_ns",
        "_running",
        "_since_ns",
        "_taken",
        "_version",
    )  # fmt: skip

    def __init__(self, calendar: Calendar, capacity: float) -> None:
        self._calendar, self._capacity, self._taken = calendar, capacity, 0.0
        self._demand, self._done_ns, self._since_ns, self._version = 0.0, 0.0, 0, 0
        self._running: list[tuple[float, int, float, Resume]] = []

    def work(self, work_ns: int, demand: float, resume: Resume) -> None:
        """Do so much work, then resume."""
        self._advance()
        heapq.heappush(self._running, (self._done_ns + work_ns, self._calendar.number(), demand, resume))
        self._demand += demand
        self._plan()

    def take_away(self, demand: float) -> None:
        """Take so much of it away from the calls that are worked on here, or give it back."""
        self._advance()
        self._taken += demand
        self._plan()

    @property
    def load(self) -> float:
        """What share of it is in use."""
        return min(1.0, (self._demand + self._taken) / self._capacity)

    @property
    def _slowdown(self) -> float:
        left = self._capacity - min(self._taken, MOST_TAKEN * self._capacity)
        return max(1.0, self._demand / left)

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
