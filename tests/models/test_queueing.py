"""Steps with known service times: they take that time, and say it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.queueing.model import Deterministic, Exponential, Requests
from rnb.clock import now_ns
from tests.support.cards import card

CPU = torch.device("cpu")


@pytest.mark.parametrize("step", [Deterministic(CPU, service_ms=3), Exponential(CPU, mean_ms=3, seed=1)])
def test_a_service_takes_the_time_that_it_says(step: Deterministic | Exponential) -> None:
    started_ns = now_ns()
    _, (label, service_ms), _ = step(None, "nothing", card(5))
    taken_ms = (now_ns() - started_ns) / 1e6
    assert label == -1
    assert service_ms == step.service_ms(5)
    # How much longer depends on what else the machine does.
    assert service_ms <= taken_ms < service_ms + 100


def test_exponential_services_have_their_mean_and_spread() -> None:
    step = Exponential(CPU, mean_ms=8)
    services = [step.service_ms(request_id) for request_id in range(5000)]
    assert np.mean(services) == pytest.approx(8, rel=0.05)
    assert np.std(services) == pytest.approx(8, rel=0.07)


def test_a_service_depends_on_the_seed_and_the_request_alone() -> None:
    first, same, other = (Exponential(CPU, mean_ms=8, seed=seed) for seed in (1, 1, 2))
    assert first.service_ms(7) == same.service_ms(7) != other.service_ms(7)
    assert first.service_ms(7) != first.service_ms(8)


def test_requests_need_no_videos() -> None:
    assert list(Requests()) == ["nothing"]
