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
    return serve(arrivals, services, num_servers)[0]


def serve(
    arrivals: NDArray[np.float64], services: Iterable[float], num_servers: int
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """How long each request waits, and which server it gets."""
    free = [(-math.inf, server) for server in range(num_servers)]
    waits, servers = np.empty(len(arrivals)), np.empty(len(arrivals), dtype=np.int32)
    for index, (arrival, service) in enumerate(zip(arrivals.tolist(), services, strict=True)):
        free_at, servers[index] = free[0]
        start = max(arrival, free_at)
        heapq.heapreplace(free, (start + service, int(servers[index])))
        waits[index] = start - arrival
    return waits, servers
