"""Live streams: so many videos that are played at once, each at a fixed rate of frames, as cameras are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.contract.termination import UsageError
from rnb.load.arrivals import LONGEST_S, MOST_REQUESTS, ScheduleError


@dataclass(frozen=True, kw_only=True)
class Streams:
    """`num` streams of `fps` frames a second; every `every`-th frame of each is a request."""

    num: int
    fps: float
    every: int = 1

    @property
    def interval_ms(self) -> float:
        """The mean gap between requests of all streams."""
        return float(f"{1e3 * self.every / (self.fps * self.num):.6g}")

    def arrivals_ns(self, num_requests: int, seed: int) -> NDArray[np.int64]:
        """When the first requests of all streams arrive, from the start, ascending: one of each in turn,
        always in the same order. When in the time of a frame a stream has its own is drawn from the seed.

        Raises ScheduleError for more than fit into a schedule.
        """
        period_s = self.every / self.fps
        if num_requests > MOST_REQUESTS or num_requests / self.num * period_s > LONGEST_S:
            raise ScheduleError(f"{num_requests} requests of {self.num} streams: more than a run may have")
        phases_s = np.sort(np.random.Generator(np.random.PCG64(seed)).uniform(0, period_s, self.num))
        turns, lanes = np.divmod(np.arange(num_requests), self.num)
        arrivals_ns: NDArray[np.int64] = np.round((turns * period_s + phases_s[lanes]) * 1e9).astype(np.int64)
        return arrivals_ns

    def num_within(self, seconds: float) -> int:
        """How many requests `seconds` of all streams have, rounded up to whole turns."""
        return self.num * int(np.ceil(seconds * self.fps / self.every))

    def at_rate(self, requests_per_s: float, num_clients: int = 1) -> Streams:
        """As many streams as give about so many requests a second together, and at least one for each client,
        who have equally many."""
        num = num_clients * max(1, round(requests_per_s * self.every / self.fps / num_clients))
        return Streams(num=num, fps=self.fps, every=self.every)


def check_streams(num: int, clients: int) -> None:
    """Raises UsageError where a stream would have several senders."""
    if num % clients:
        raise UsageError(
            f"--streams {num}: {clients} clients send in turn, so it must be a multiple of {clients}:"
            " else a stream would have several senders, and no order"
        )
