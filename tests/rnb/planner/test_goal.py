"""What is looked for, and what is nearer to it."""

from __future__ import annotations

import pytest

from rnb.contract.termination import UsageError
from rnb.planner.goal import Goal, Prediction, of_run
from rnb.record.run import Run
from rnb.spec import plan_of
from tests.support.known_times import KnownTimes, simulated, spec_of, step

SPEC = spec_of(step(replicas=2))
PLAN = plan_of(SPEC, num_requests=1)


def prediction(per_s: float = 10, p99_ms: float = 50, num_gpus: int = 1, cores: int = 1) -> Prediction:
    return Prediction(per_s, 20, p99_ms, num_gpus, cores)


def play(mean_interval_ms: float) -> Run:
    """Two servers of 10 ms, so 200/s at most."""
    spec = spec_of(step(replicas=2), mean_interval_ms=mean_interval_ms, videos=2_000, arrivals="constant")
    return simulated(spec, KnownTimes(lambda *_: 10.0))


def test_throughput() -> None:
    goal = Goal(name="throughput")
    assert goal.predict(play, PLAN, 999).per_s == pytest.approx(200, rel=0.01)
    assert goal.rank(prediction(per_s=11)) < goal.rank(prediction(per_s=10))
    assert goal.rank(prediction(cores=1)) < goal.rank(prediction(cores=2))


def test_latency_at_a_rate() -> None:
    goal = Goal(name="latency", rate=150)
    found = goal.predict(play, PLAN, 999)
    assert found.p99_ms == pytest.approx(10, rel=0.01)
    assert found.cores == 2
    assert goal.rank(prediction(p99_ms=49)) < goal.rank(prediction(p99_ms=50))


def test_the_highest_rate_within_a_bound() -> None:
    goal = Goal(name="rate", slo=40)
    assert goal.predict(play, PLAN, 300).per_s == pytest.approx(205, rel=0.05)
    missed = Goal(name="rate", slo=9).predict(play, PLAN, 300)
    assert missed.per_s == 0
    assert missed.p99_ms == pytest.approx(10, rel=0.01)  # at the lowest rate that was tried


def test_a_candidate_that_does_not_reach_the_best_rate_is_not_looked_at_further() -> None:
    rates = []

    def play_and_note(mean_interval_ms: float) -> Run:
        rates.append(mean_interval_ms)
        return play(mean_interval_ms)

    goal, best = Goal(name="rate", slo=40), prediction(per_s=250)
    assert goal.predict(play_and_note, PLAN, 300, best).per_s == 0
    assert rates == [4]
    assert goal.predict(play_and_note, PLAN, 300, prediction(per_s=100)).per_s > 150


def test_the_cheapest_within_a_bound() -> None:
    goal = Goal(name="cost", rate=100, slo=60)
    ranks = [
        goal.rank(one)
        for one in (
            prediction(num_gpus=0, cores=9),
            prediction(num_gpus=1, cores=1),
            prediction(num_gpus=1, cores=2),
            prediction(num_gpus=0, p99_ms=61),
            prediction(num_gpus=0, p99_ms=70),
        )
    ]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"name": "latency"}, "--goal latency: needs --rate"),
        ({"name": "cost", "rate": 1}, "--goal cost: needs --slo"),
        ({"name": "throughput", "slo": 1}, "--goal throughput: takes no --slo"),
    ],
)
def test_flags_that_do_not_fit(flags: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Goal(**flags)  # type: ignore[arg-type]


def test_a_run_that_failed_is_the_worst_there_is() -> None:
    run = play(10)
    run.meta.is_success = False
    assert of_run(run, PLAN).per_s == 0
    assert Goal(name="latency", rate=1).rank(of_run(run, PLAN)) > Goal(name="latency", rate=1).rank(
        prediction()
    )
