"""What calls that run at once share, from how long they took."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.planner.key import Key, variants
from rnb.planner.observations import Numbers
from rnb.planner.profile import Profile, profile_of
from rnb.planner.slowing import Slowing, slowing_of
from rnb.record.run import Run
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import RunSpec, plan_of, schedule_of
from tests.support.known_times import KnownTimes, simulated, spec_of, step
from tests.support.played import played

PLACES: list[dict[str, Any]] = [{}, {"gpus": [0] * 4}, {"workers": 4}]
"""One worker, four processes of one each, and one process of four."""


def calls(*cells: tuple[float, int, float, int]) -> dict[Key, Numbers]:
    """Of busy, workers, milliseconds and how many."""
    return {
        Key("step", True, "call", 1, workers, busy): np.full(count, round(took_ms * 1e6))
        for busy, workers, took_ms, count in cells
    }


def test_a_few_odd_calls_do_not_decide() -> None:
    """The last of a run are few, and not of the others' kind."""
    usual = (2.0, 4, 18.0, 900), (8.0, 4, 18.0, 900), (12.0, 4, 27.0, 900)
    found = slowing_of(calls((1.0, 4, 6.0, 2), (3.0, 4, 70.0, 1), *usual))
    assert found.device == pytest.approx(1 / 8, abs=0.02)
    assert found.lock == 0


def test_calls_that_had_to_wait_for_a_core_explain_nothing() -> None:
    """One of a few takes as long as three, whatever runs beside it: in these, where most do."""
    quiet, disturbed = [6.1, 6.0, 6.2, 6.1, 6.0], [6.1, 6.0, 18.4, 6.2, 6.1, 6.0, 16.2, 6.1, 6.1, 6.0, 6.2]
    seen = {2.0: quiet, 2.75: [6.0, 6.1, 6.1], 3.0: disturbed}
    found = {
        Key("step", False, "call", 1, 1, busy): np.array([round(1e6 * ms) for ms in took])
        for busy, took in seen.items()
    }
    assert slowing_of(found) == Slowing()
    many = {key: np.tile(values, 40) for key, values in found.items()}
    assert slowing_of(many) == Slowing(), "the others take as long as ever"
    slower = {key: values * 3 // 2 if key.busy == 3 else values for key, values in many.items()}
    assert slowing_of(slower).device > 0.3


def test_a_few_long_stalls_are_no_cause() -> None:
    """Work beside a run stops all its processes at times, so that more of them are busy at once."""
    cells = {(2.75, 0.6): (18, 0), (2.5, 0.8): (420, 9), (3.0, 1.0): (150, 70), (1.25, 1.0): (1, 5)}
    found = {
        Key("step", False, "call", 2, 1, busy, crowd=crowd): np.array([6_050_000] * few + [19_000_000] * most)
        for (busy, crowd), (few, most) in cells.items()
    }
    assert slowing_of(found) == Slowing()


def test_calls_that_do_not_slow_each_other_down_share_nothing() -> None:
    assert slowing_of(calls((1.0, 1, 10.0, 50), (4.0, 4, 10.2, 50), (8.0, 4, 9.9, 50))) == Slowing()
    assert slowing_of({}) == Slowing()


def test_the_lock_is_told_from_the_device_by_as_many_processes() -> None:
    threads, processes = (4.0, 4, 30.0, 100), (4.0, 1, 10.0, 100)
    assert slowing_of(calls((1.0, 1, 10.0, 100), threads)).lock == 0  # either would explain it
    found = slowing_of(calls((1.0, 1, 10.0, 100), threads, processes))
    assert found.lock == pytest.approx(0.75, abs=0.02)
    assert found.device <= 0.25


def test_what_busy_cores_cost_is_told_by_calls_while_few_are() -> None:
    """30 % more while all are in use; 6 calls fit on the device."""
    found = {}
    for busy in (2.0, 4.0, 9.0):
        for crowd in (0.0, 0.6, 1.0):
            took_ns = 10e6 * max(1, busy / 6) * (1 + 0.3 * crowd)
            key = Key("step", True, "call", 1, 1, busy, crowd=crowd)
            found[key] = np.full(100, round(took_ns))
    assert slowing_of(found).crowd == pytest.approx(0.3, abs=0.05)
    assert slowing_of(found).device == pytest.approx(1 / 6, abs=0.02)
    assert (
        slowing_of({key: took for key, took in found.items() if key.crowd == 1}).crowd == 0
    )  # nothing says it


def test_what_was_not_played_follows_from_it() -> None:
    """Three workers in each of two processes, half of whose calls hold the lock."""
    true, times = Surroundings(lock={(0, False): 0.5}), KnownTimes(lambda *_: 10.0, lambda request: 1)

    def spec(**places: Any) -> RunSpec:
        return spec_of({**step("Source"), **places}, mean_interval_ms=0, videos=200)

    runs = [simulated(spec(**places), times, true) for places in PLACES]
    profile, asked = profile_of(runs), spec(gpus=[0, 0], workers=3)
    wanted, found = simulated(asked, times, true), predicted(profile, asked)
    assert wanted.seconds == pytest.approx(200 * 0.015 / 6, rel=0.05)
    assert found.seconds == pytest.approx(wanted.seconds, rel=0.05)


def predicted(profile: Profile, spec: RunSpec) -> Run:
    spec, schedule = schedule_of(spec)
    config, plan = spec.config.pipeline(), plan_of(spec, num_requests=len(schedule))
    services = profile.services(plan, config, num_requests=len(schedule), seed=0)
    return simulate(spec, schedule, services, around=profile.surroundings(plan, config, cores=8))


@pytest.mark.processes
@pytest.mark.parametrize(("name", "least", "most"), [("Locking", 0.7, 1), ("Source", 0, 0.2)])
def test_threads_that_keep_the_lock_wait_for_each_other_and_those_that_sleep_do_not(
    name: str, least: float, most: float
) -> None:
    def spec(**places: Any) -> RunSpec:
        return spec_of({**step(name, fixed_ms=10), **places}, mean_interval_ms=0, videos=90)

    profile = profile_of(played(spec(**places)) for places in ({}, {"gpus": [0, 0]}, {"workers": 4}))
    asked = spec(gpus=[0, 0], workers=3)
    config, plan = asked.config.pipeline(), plan_of(asked, num_requests=1)
    profile.demand = {(variants(config)[0], False): 0.0}  # of cores, as longer runs would tell
    assert least <= profile.surroundings(plan, config, cores=8).lock[0, False] <= most
    # Without the lock it would be three times as fast.
    assert 0.6 < predicted(profile, asked).seconds / played(asked).seconds < 1.6
