"""Steps that take a known time and do nothing else: what theory says of them is what RnB must measure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from rnb.clock import now_ns
from rnb.step import Step, StepOutput, Tensors
from rnb.time_card import TimeCard

SPIN_NS = 200_000
"""Before the end of a service the step stays awake: a sleep ends some 60 microseconds late, or more."""


class Requests:
    """In the place of a list of videos: requests that need none."""

    def __iter__(self) -> Iterator[str]:
        yield "nothing"


class _Timed(Step):
    """Keeps each request for its service time, and gives that time in ms as the score of its result."""

    def input_shape(self) -> None:
        return None

    @staticmethod
    def output_shape() -> None:
        return None

    def service_ms(self, request_id: int) -> float:
        """How long the service of a request takes."""
        raise NotImplementedError

    def __call__(self, tensors: Tensors, non_tensors: Any, time_card: TimeCard) -> StepOutput:
        started_ns = now_ns()
        service_ms = self.service_ms(time_card.id)
        wait_until(started_ns + round(service_ms * 1e6))
        return None, (-1, service_ms), time_card


class Deterministic(_Timed):
    """Each service takes `service_ms`."""

    def __init__(self, device: torch.device, service_ms: float) -> None:
        super().__init__(device)
        self._service_ms = service_ms

    def service_ms(self, request_id: int) -> float:
        return self._service_ms


class Exponential(_Timed):
    """Services are exponential with `mean_ms`, drawn from the seed and the request's id."""

    def __init__(self, device: torch.device, mean_ms: float, seed: int = 0) -> None:
        super().__init__(device)
        self._mean_ms, self._seed = mean_ms, seed

    def service_ms(self, request_id: int) -> float:
        draw = np.random.Generator(np.random.PCG64([self._seed, request_id]))
        return float(draw.exponential(self._mean_ms))


def wait_until(deadline_ns: int) -> None:
    """Sleep, then spin, to a reading of the run's clock."""
    time.sleep(max(0, deadline_ns - SPIN_NS - now_ns()) / 1e9)
    while now_ns() < deadline_ns:
        pass
