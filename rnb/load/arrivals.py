"""Arrival times, drawn before the start so that no delay of the client can change the load."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnb.contract.termination import UsageError

MOST_REQUESTS = 100_000_000
LONGEST_S = 100 * 365 * 86_400
"""Of a schedule: 100 years, so that times of nanoseconds fit into 64 bits."""

PROCESSES = ("poisson", "constant", "gamma", "trace")


class ScheduleError(UsageError):
    """A schedule that cannot be made as asked: one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """A rate that changes linearly from `start_per_s` to `end_per_s` and then stays."""

    start_per_s: float
    end_per_s: float
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Ramp:
        """Read 'START:END:SECONDS'. Raises ValueError with the rule that it breaks."""
        try:
            start, end, seconds = map(float, text.split(":"))
        except ValueError:
            raise ValueError("must be START:END:SECONDS, as 10:100:30") from None
        if not all(map(math.isfinite, (start, end, seconds))) or start < 0 or end <= 0 or seconds <= 0:
            raise ValueError("START must be at least 0 requests/s, END and SECONDS more than 0")
        return cls(start_per_s=start, end_per_s=end, seconds=seconds)

    def times_s(self, num_expected: NDArray[np.float64]) -> NDArray[np.float64]:
        """When the expected number of arrivals reaches each of `num_expected` (all positive).

        This is the inverse of the cumulative rate, so it turns a process of rate 1 into one of this rate:
        R. W. Klein and S. D. Roberts, A time-varying Poisson arrival process generator, Simulation 43(4),
        1984; for other renewal processes, I. Gerhardt and B. L. Nelson, Transforming renewal processes for
        simulation of nonstationary arrival processes, INFORMS Journal on Computing 21(4), 2009.
        """
        num_in_ramp = (self.start_per_s + self.end_per_s) / 2 * self.seconds
        in_ramp = np.minimum(num_expected, num_in_ramp)
        slope = (self.end_per_s - self.start_per_s) / self.seconds
        # The root of start·t + slope·t²/2 = n in the form that also holds for a slope of 0.
        rate_then = np.sqrt(np.maximum(self.start_per_s**2 + 2 * slope * in_ramp, 0))
        times_s = 2 * in_ramp / (self.start_per_s + rate_then) + (num_expected - in_ramp) / self.end_per_s
        return np.asarray(times_s, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ArrivalProcess:
    """A random or constant stream of requests, the same for the same seed."""

    process: str = "poisson"
    """poisson, constant or gamma."""
    mean_interval_ms: float = 0
    """0: all arrive at once. Without effect where there is a ramp."""
    seed: int = 0
    burstiness: float = 1
    """Shape of the gamma distribution of gaps; their mean stays. 1 is Poisson, less is more bursty.

    As in vLLM's `vllm bench serve --burstiness` (get_request in vllm/benchmarks/serve.py), but without its
    stretching of the schedule to the asked duration, after which gaps are no longer independent.
    """
    ramp: Ramp | None = None

    def draw(self, num_requests: int) -> NDArray[np.int64]:
        """The first arrivals as nanoseconds from the start, ascending, shape (num_requests,).

        The first request arrives after one gap. Raises ScheduleError for more than fit into a schedule.
        """
        if num_requests > MOST_REQUESTS:
            raise ScheduleError(f"{num_requests} requests: a run may have {MOST_REQUESTS}")
        if self.ramp is None:
            times_ms = self._times(num_requests, self.mean_interval_ms)
        else:
            times_ms = self.ramp.times_s(self._times(num_requests, 1)) * 1e3
        return _to_ns(times_ms, 1e6)

    def draw_for(self, seconds: float, *, num_warmup: int = 0) -> NDArray[np.int64]:
        """The arrivals of the warm-up, and all within `seconds` after its last one, as `draw` gives them."""
        num_requests = max(1024, 2 * num_warmup)
        while True:
            arrivals_ns = within(self.draw(num_requests), seconds, num_warmup)
            if len(arrivals_ns) < num_requests:
                return arrivals_ns
            num_requests *= 2

    def _times(self, num_requests: int, mean_gap: float) -> NDArray[np.float64]:
        if self.process == "constant":
            return np.arange(1, num_requests + 1, dtype=np.float64) * mean_gap
        generator = np.random.Generator(np.random.PCG64(self.seed))
        if self.process == "poisson":
            gaps = generator.exponential(mean_gap, num_requests)
        else:
            gaps = generator.gamma(self.burstiness, mean_gap / self.burstiness, num_requests)
        times: NDArray[np.float64] = gaps.cumsum()
        return times


def within(arrivals_ns: NDArray[np.int64], seconds: float, num_warmup: int) -> NDArray[np.int64]:
    """The warm-up's arrivals, and those at most `seconds` after the last of them."""
    warmed_up_ns = arrivals_ns[:num_warmup].max(initial=0)
    return arrivals_ns[: np.searchsorted(arrivals_ns, warmed_up_ns + seconds * 1e9, side="right")]


def read_trace(path: str | os.PathLike[str]) -> NDArray[np.int64]:
    """Read arrivals from a CSV: seconds from the start in the first column, ascending; a header may lead.

    Returns nanoseconds. Raises ScheduleError that names the file and the line.
    """
    times_s: list[float] = []
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if row and not (number == 1 and _is_header(row[0])):
                    times_s.append(_time_of(row[0], times_s[-1] if times_s else 0.0, f"{path} line {number}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ScheduleError(f"--arrivals-file {path}: cannot be read: {reason}") from None
    if not times_s:
        raise ScheduleError(f"--arrivals-file {path}: no times in it; one a line, in seconds from the start")
    return _to_ns(np.array(times_s), 1e9)


def _to_ns(times: NDArray[np.float64], unit_ns: float) -> NDArray[np.int64]:
    last_s = float(times.max(initial=0)) * (unit_ns / 1e9)
    if not last_s <= LONGEST_S:
        raise ScheduleError(f"the last request arrives after {last_s:.3g} s: the most is {LONGEST_S} s")
    return np.round(times * unit_ns).astype(np.int64)


def _is_header(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False


def _time_of(text: str, previous_s: float, place: str) -> float:
    try:
        time_s = float(text)
    except ValueError:
        time_s = math.nan
    if not 0 <= time_s < math.inf:
        raise ScheduleError(f"--arrivals-file {place}: '{text}': must be seconds from the start, at least 0")
    if time_s < previous_s:
        raise ScheduleError(
            f"--arrivals-file {place}: {text}: times must ascend; before it is {previous_s:g}"
        )
    return time_s
