"""A queue without a harness: Kiefer and Wolfowitz' recursion (1955), which for one server is Lindley's."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def ideal_waits(
    arrivals: NDArray[np.float64], services: Iterable[float], num_servers: int
) -> NDArray[np.float64]:
    """How long each request waits, first come, first served, where nothing but its service takes time.

    `arrivals`: ascending, (num_requests,); `services`: the service time of each request.
    """
    free_at = [-math.inf] * num_servers
    waits = np.empty(len(arrivals))
    for index, (arrival, service) in enumerate(zip(arrivals.tolist(), services, strict=True)):
        start = max(arrival, free_at[0])
        heapq.heapreplace(free_at, start + service)
        waits[index] = start - arrival
    return waits
