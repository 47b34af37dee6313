"""Steps that take a known time and do nothing else: what theory says of them is what RnB must measure."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
from pydantic import Field

from rnb.contract import Batch, ClassAndScore, ClassResult, Step
from rnb.contract import Options as AnyOptions
from rnb.load.videos import NoVideos

SPIN_NS = 200_000
"""Before the end of a service the step stays awake: a sleep ends some 60 microseconds late, or more."""
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Requests(NoVideos):
    """Requests that are only waited for."""


class _Timed(Step):
    """Keeps each request for its service time, and gives that time in ms as the score of its result."""

    result_kind = ClassResult

    def service_ms(self, request_id: int) -> float:
        """How long the service of a request takes."""
        raise NotImplementedError

    def __call__(self, batch: Batch) -> Batch:
        started_ns = time.perf_counter_ns()
        (request_id,) = batch.ids
        service_ms = self.service_ms(request_id)
        wait_until(started_ns + round(service_ms * 1e6))
        return batch.give(payloads=[ClassAndScore(score=service_ms)])


class Deterministic(_Timed):
    """Each service takes `service_ms`."""

    class Options(AnyOptions):
        service_ms: Milliseconds

    def service_ms(self, request_id: int) -> float:
        return float(self.options.service_ms)


class Exponential(_Timed):
    """Services are exponential with `mean_ms`, drawn from the seed and the request's id."""

    class Options(AnyOptions):
        mean_ms: Milliseconds
        seed: int = 0

    def service_ms(self, request_id: int) -> float:
        draw = np.random.Generator(np.random.PCG64([self.options.seed, request_id]))
        return float(draw.exponential(self.options.mean_ms))


def wait_until(deadline_ns: int) -> None:
    """Sleep, then spin, to a reading of the run's clock."""
    time.sleep(max(0, deadline_ns - SPIN_NS - time.perf_counter_ns()) / 1e9)
    while time.perf_counter_ns() < deadline_ns:
        pass
