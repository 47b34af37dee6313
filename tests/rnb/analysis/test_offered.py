"""What a run was asked for: equal where it is the same, and told apart where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.analysis.offered import Offered, offered, offered_difference
from tests.support.simulated_runs import simulate


def load_of(**simulation: Any) -> Offered | None:
    return offered(simulate(has_telemetry=False, **{"num_requests": 500, "rate_per_s": 100, **simulation}))


def test_the_same_schedule_is_the_same_load_however_fast_it_is_served() -> None:
    assert load_of() == load_of(speed=2.0)
    assert offered_difference([load_of(), load_of()], [load_of(speed=2.0)]) == ""


def test_only_measured_requests_count() -> None:
    run = simulate(num_requests=500, rate_per_s=100, has_telemetry=False)
    run.requests["is_warmup"] = np.arange(500) < 100
    found = offered(run)
    assert found
    assert found.num_requests == 400
    assert found != load_of()


@pytest.mark.parametrize(
    ("simulation", "expected"),
    [
        ({"rate_per_s": 200}, "the offered load differs: "),
        ({"num_requests": 400, "rate_per_s": 99}, "requests"),
        ({"seed": 7, "rate_per_s": 100}, "the offered load differs: "),
    ],
)
def test_what_differs_is_told(simulation: dict[str, Any], expected: str) -> None:
    assert expected in offered_difference([load_of()], [load_of(**simulation)])


def test_seeds_may_differ_from_repeat_to_repeat_if_they_do_so_on_both_sides() -> None:
    seeds = [load_of(seed=seed) for seed in range(3)]
    assert offered_difference(seeds, seeds[::-1]) == ""
    assert offered_difference(seeds[:2], seeds[1:])


def test_a_folder_without_a_schedule_does_not_say() -> None:
    run = simulate(num_requests=10, has_telemetry=False)
    del run.requests["arrival_ns"]
    assert offered(run) is None
    told = "a folder of snuspl/rnb does not say what load was offered"
    assert offered_difference([load_of()], [None]) == told
