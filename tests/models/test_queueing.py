"""Steps with known service times: they take that time, and say it."""

from __future__ import annotations

import numpy as np
import pytest

from models.queueing.model import Deterministic, Exponential, Requests
from rnb.contract import Batch, ClassAndScore, Context, Request
from rnb.transport.clock import now_ns


def deterministic(service_ms: float) -> Deterministic:
    return Deterministic(Deterministic.Options(service_ms=service_ms), Context())


def exponential(mean_ms: float, seed: int = 0) -> Exponential:
    return Exponential(Exponential.Options(mean_ms=mean_ms, seed=seed), Context())


@pytest.mark.parametrize("step", [deterministic(3), exponential(3, seed=1)])
def test_a_service_takes_the_time_that_it_says(step: Deterministic | Exponential) -> None:
    started_ns = now_ns()
    (result,) = step(Batch((Request(5, "nothing"),))).payloads
    taken_ms = (now_ns() - started_ns) / 1e6
    assert isinstance(result, ClassAndScore)
    assert result.label == -1
    service_ms = result.score
    assert service_ms == step.service_ms(5)
    # How much longer depends on what else the machine does.
    assert service_ms <= taken_ms < service_ms + 100


def test_exponential_services_have_their_mean_and_spread() -> None:
    step = exponential(8)
    services = [step.service_ms(request_id) for request_id in range(5000)]
    assert np.mean(services) == pytest.approx(8, rel=0.05)
    assert np.std(services) == pytest.approx(8, rel=0.07)


def test_a_service_depends_on_the_seed_and_the_request_alone() -> None:
    first, same, other = (exponential(8, seed) for seed in (1, 1, 2))
    assert first.service_ms(7) == same.service_ms(7) != other.service_ms(7)
    assert first.service_ms(7) != first.service_ms(8)


def test_requests_need_no_videos() -> None:
    assert list(Requests()) == ["nothing"]


@pytest.mark.parametrize("wrong", [-1, float("inf"), float("nan"), "soon", None])
def test_a_wrong_time_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="service_ms"):
        Deterministic.Options.model_validate({"service_ms": wrong})
    with pytest.raises(ValueError, match="mean_ms"):
        Exponential.Options.model_validate({"mean_ms": wrong})
