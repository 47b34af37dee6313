"""Why a config is as fast as it is, where all of it can be computed by hand."""

from __future__ import annotations

from functools import cache

import pytest

from rnb.planner.explanation import Explanation, explain
from rnb.planner.harness import FREE, HarnessCosts
from tests.support.known_profiles import known_system
from tests.support.known_times import spec_of, step

SPEC = spec_of({**step("Source"), "gpus": [0], "num_shared_tensors": 20}, {**step("ChangeOne"), "gpus": [0]})


@cache
def explained(harness: HarnessCosts = FREE, demand: float = 0.0, cores: float = 100) -> Explanation:
    """Calls of 4 and of 10 ms: 250/s and 100/s."""
    return explain(known_system(SPEC, {1: [4.0]}, {1: [10.0]}, harness=harness, demand=demand, cores=cores))


def gains(found: Explanation) -> dict[str, float]:
    return {one.what: one.predicted.per_s for one in found.gains}


def test_what_it_serves_and_by_what_it_is_held_up() -> None:
    found = explained()
    assert found.predicted.per_s == pytest.approx(100, rel=0.01)
    assert found.predicted.rate_per_s == pytest.approx(80, rel=0.01)
    assert found.in_words == "step 1 ChangeOne: its workers are busy 100% of the time"
    assert [(one.name, round(one.per_s)) for one in found.ceilings] == [
        ("step 1 ChangeOne", 100),
        ("step 0 Source", 250),
    ]


def test_what_each_resource_does() -> None:
    uses = {one.name: one for one in explained().uses}
    assert uses["step 0 Source, 1 worker"].busy == pytest.approx(0.4, abs=0.02)
    assert uses["step 0 Source, 1 worker"].waiting_for_slot == pytest.approx(0.58, abs=0.04)
    assert uses["step 1 ChangeOne, 1 worker"].busy == pytest.approx(1.0, abs=0.02)
    assert uses["GPU 0: a call on it"].busy == pytest.approx(1.0, abs=0.02)


def test_what_more_would_give() -> None:
    found = explained()
    given = gains(found)
    assert given["one more replica of step 1 ChangeOne"] == pytest.approx(200, rel=0.01)
    assert given["step 1 ChangeOne twice as fast"] == pytest.approx(200, rel=0.01)
    assert given["one more GPU, with the same replicas"] == pytest.approx(200, rel=0.01)
    assert given["1 ms less for a call of step 1 ChangeOne (10 ms)"] == pytest.approx(1000 / 9, rel=0.01)
    for useless in (
        "one more replica of step 0 Source",
        "step 0 Source twice as fast",
        "twice the slots of step 0 Source",
        "1 ms less for a call of step 0 Source (4 ms)",
    ):
        assert given[useless] == pytest.approx(100, rel=0.01)
    assert list(given.values()) == sorted(given.values(), reverse=True)
    latencies = {one.what: one.predicted for one in found.gains}
    shorter = latencies["1 ms less for a call of step 1 ChangeOne (10 ms)"]
    assert shorter.p99_ms < found.predicted.p99_ms
    assert {one.rate_per_s for one in latencies.values()} == {found.predicted.rate_per_s}


def test_the_harness_may_be_what_holds_it_up() -> None:
    found = explained(HarnessCosts(send_ns=20_000_000))
    assert found.in_words == "the client: no more than 50 requests/s"
    assert {one.name: one.busy for one in found.uses}["the client"] == pytest.approx(1.0, abs=0.02)


def test_so_may_the_cores() -> None:
    found = explained(demand=1.0, cores=1)
    # a request takes 14 ms of the one core
    assert found.predicted.per_s == pytest.approx(1000 / 14, rel=0.02)
    assert found.in_words == "the CPU's cores: no more than 71 requests/s"
    assert gains(found)["one more core"] == pytest.approx(100, rel=0.02)


def test_of_many_gpus_the_mean_is_told() -> None:
    spec = spec_of({**step("ChangeOne"), "gpus": list(range(9))})
    (steps, gpus) = explain(known_system(spec, {1: [10.0]})).uses
    assert steps.name == "step 0 ChangeOne, 9 workers"
    assert gpus.name == "the 9 GPUs, on average: a call on them"
    assert gpus.busy == pytest.approx(1.0, abs=0.02)
