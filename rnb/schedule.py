"""Arrival times, drawn before the start so that no delay of the client can change the load."""

import numpy as np
from numpy.typing import NDArray


def poisson(*, mean_interval_ms: float, num_requests: int, seed: int) -> NDArray[np.int64]:
    """Arrivals of a Poisson process as nanoseconds from the start, ascending, shape (num_requests,).

    The first request arrives after one gap. A mean interval of 0 means that all arrive at once.
    """
    gaps_ms = np.random.Generator(np.random.PCG64(seed)).exponential(mean_interval_ms, num_requests)
    return np.round(np.cumsum(gaps_ms) * 1e6).astype(np.int64)
