"""What the timestamps of a run say: of simulated runs, of which everything is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.planner.observations import observe
from rnb.record.run import Run
from rnb.simulation.service_times import Costs, Samples
from rnb.simulation.simulate import Surroundings
from tests.support.known_times import KnownTimes, simulated, spec_of, step

COSTS = Costs(wake=Samples([1e5]), prepare=Samples([2e5]), hand_on=Samples([3e5]), rest=Samples([4e5]))


def run_of(*steps: Any, interval_ms: float = 20, **changes: Any) -> Run:
    """Calls that take as long as they have rows; every third request has six, the others two."""
    spec = spec_of(*steps, mean_interval_ms=interval_ms, videos=60, **changes)
    times = KnownTimes(lambda step, rows, request: rows, lambda request: 2 if request % 3 else 6)
    return simulated(spec, times, Surroundings(costs=dict.fromkeys(range(4), COSTS), lateness_ns=50_000))


def values(run: Run, step: int, kind: str, rows: int = 0) -> list[int]:
    found = [one for one in observe(run).durations if (one.step, one.kind, one.rows) == (step, kind, rows)]
    assert found
    return sorted({value for one in found for value in one.values_ns.tolist()})


@pytest.mark.parametrize("step_number", [0, 1])
def test_calls_by_their_rows(step_number: int) -> None:
    run = run_of(step("Source"), step("Change"))
    assert values(run, step_number, "call", 2) == [2_000_000]
    assert values(run, step_number, "call", 6) == [6_000_000]


def test_rows_of_a_batch_and_of_a_segment_are_those_of_the_call() -> None:
    batched = run_of(step("Source"), step("Change"), interval_ms=0, placement={"batch_size": 3})
    assert {one.rows for one in observe(batched).durations if one.kind == "call" and one.step == 1} >= {10}
    split = run_of(step("Source", num_segments=4), step("ChangeOne"), step("Join"))
    assert {one.rows for one in observe(split).durations if one.kind == "call" and one.step == 1} == {0, 1, 2}


def test_what_the_harness_adds_where_a_worker_is_idle_and_where_it_is_not() -> None:
    calm, busy = (run_of(step("Source"), step("Change"), interval_ms=gap) for gap in (60, 0))
    assert values(calm, 1, "wake") == [100_000]
    assert values(calm, 0, "prepare") == [200_000]
    assert values(calm, 0, "hand_on") == [300_000]
    assert 400_000 in values(busy, 0, "rest")
    assert observe(calm).lateness_ns == 50_000


def test_the_wait_for_a_slot_is_no_cost_of_the_harness() -> None:
    run = run_of(
        step("Source", num_segments=4, num_shared_tensors=4), step("ChangeOne"), step("Join"), interval_ms=0
    )
    assert not [one for one in observe(run).durations if one.step == 0 and one.kind == "rest"]


def test_a_full_batch_is_prepared_when_the_last_of_it_has_come() -> None:
    run = run_of(step("Source"), step("Change"), interval_ms=0, placement={"batch_size": 2})
    assert values(run, 1, "prepare") == [200_000]
    alone = run_of(
        step("Source"), step("Change"), interval_ms=60, arrivals="constant", placement={"batch_size": 2}
    )
    assert not [one for one in observe(alone).durations if one.step == 1 and one.kind == "prepare"]


def test_cores_that_a_call_takes_follow_from_what_its_process_used() -> None:
    run = run_of(step("Source"))
    assert observe(run).demand == {}
    busy = 60 * 10 / 3 / 1e3 / run.seconds  # of 60 requests a third has 6 ms, the others 2
    run.tables["telemetry"] = {"process.step 0.0.cpu_percent": np.array([50.0, 150.0])}
    assert observe(run).demand[0, False] == pytest.approx(1 / busy, rel=0.05)


def test_calls_are_told_apart_by_how_much_of_the_cores_was_in_use() -> None:
    run = run_of(step("Source"))
    half_ns = run.start_ns + round(run.seconds * 5e8)
    times_ns = [run.start_ns - 1, run.start_ns, half_ns, half_ns + 1, run.end_ns]
    run.tables["telemetry"] = {
        "time_ns": np.array(times_ns),
        "cpu.percent": np.array([np.nan, 12.0, 12.0, 79.0, 79.0]),
    }
    calls = [one for one in observe(run).durations if one.kind == "call"]
    counts = {crowd: sum(len(one.values_ns) for one in calls if one.crowd == crowd) for crowd in (0.2, 0.8)}
    assert sum(counts.values()) == 60
    assert counts[0.2] == pytest.approx(30, abs=5)


def test_what_workers_take_that_look_for_messages_is_none_of_a_call() -> None:
    """Two that look for messages half of the time, and are in calls in the other: half a core looks for them,
    of the 0.8 that were used for each that was in a call."""
    spec = spec_of(step("Source", workers=2), mean_interval_ms=10, arrivals="constant", videos=300)
    run = simulated(spec, KnownTimes(lambda *_: 10.0))
    run.tables["telemetry"] = {"process.step 0.0.cpu_percent": np.array([80.0])}
    for num_cpus, cores in ((3, 0.8), (4, 0.3)):
        run.meta.provenance = {"num_cpus": num_cpus}
        assert observe(run).demand[0, False] == pytest.approx(cores, rel=0.05)
    few = simulated(spec.with_load(videos=30), KnownTimes(lambda *_: 10.0))
    few.tables["telemetry"] = run.tables["telemetry"]
    assert observe(few).demand == {}


def test_what_decodes_on_a_gpu_and_the_others_are_no_neighbours() -> None:
    for first, is_beside in (("Decoder", False), ("Source", True)):
        run = run_of(step(first), step("ChangeOne"), interval_ms=0)
        for one in run.meta.replicas:
            one["device"] = "cuda:0"
        calls = [one for one in observe(run).durations if (one.kind, one.step) == ("call", 1)]
        assert (max(one.busy for one in calls) > 1.5) == is_beside


def test_a_segment_that_waited_for_a_slot_was_no_long_way() -> None:
    """Four workers are idle while the others hold all slots, those of larger segments for longer."""
    steps = step("Source", num_segments=4, num_shared_tensors=4), step("ChangeOne", replicas=8), step("Join")
    spec = spec_of(*steps, mean_interval_ms=0, videos=60)
    times = KnownTimes(lambda step, rows, request: [1.0, 20.0 * rows, 0.1][step], lambda request: 6)
    run = simulated(spec, times, Surroundings(costs=dict.fromkeys(range(3), COSTS)))
    assert values(run, 1, "wake") == [100_000]
