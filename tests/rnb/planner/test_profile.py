"""A profile: kept, read back, used, and refused where it is of something else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.contract.termination import UsageError
from rnb.pipeline.config import parse_config
from rnb.planner.key import variants
from rnb.planner.origin import check, origin_now
from rnb.planner.profile import Profile, profile_of
from rnb.planner.profile_folder import FACTS, read, write
from rnb.record.run import Run
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import plan_of, schedule_of
from tests.support.known_times import KnownTimes, simulated, spec_of, step

STEPS = (step("Source", fixed_ms=3), step("Change"))


def run_of(*steps: Any, **provenance: Any) -> Run:
    spec = spec_of(*(steps or STEPS), mean_interval_ms=9, videos=200)
    run = simulated(spec, KnownTimes(lambda step, rows, request: 3 + step + rows, lambda request: 2))
    run.meta.provenance = {"num_cpus": 2, "commit": "abc", **provenance}
    return run


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    profile = profile_of([run_of()])
    write(profile, tmp_path)
    again = read(tmp_path)
    assert again.durations.keys() == profile.durations.keys()
    assert all((again.durations[key] == profile.durations[key]).all() for key in profile.durations)
    assert (again.rows, again.origin, again.runs) == (profile.rows, profile.origin, profile.runs)


def test_a_run_that_is_worked_out_from_it_is_the_run_it_is_of() -> None:
    run = run_of()
    spec, schedule = schedule_of(spec_of(*STEPS, mean_interval_ms=9, videos=200))
    profile, config = profile_of([run]), spec.config.pipeline()
    plan = plan_of(spec, num_requests=200)
    other = simulate(
        spec,
        schedule,
        profile.services(plan, config, num_requests=200, seed=0),
        around=profile.surroundings(plan, config, cores=8),
    )
    assert other.latency_ms.tolist() == pytest.approx(run.latency_ms.tolist(), abs=1e-3)


def test_a_step_that_is_to_be_faster() -> None:
    config = spec_of(*STEPS).config.pipeline()
    plan = plan_of(spec_of(*STEPS), num_requests=9)
    profile = profile_of([run_of()])
    services = profile.services(plan, config, num_requests=9, seed=0, speed={1: 2.0})
    assert services.call_ns(plan.replicas[0], 2, 0) == 5_000_000
    assert services.call_ns(plan.replicas[1], 2, 0) == 3_000_000
    assert services.call_ns(plan.replicas[1], 4, 0) == 6_000_000  # in proportion to what was seen


@pytest.mark.parametrize(
    ("name", "value"), [("num_cpus", 4), ("commit", "def"), ("inputs", {"num_files": 3, "num_bytes": 1})]
)
def test_what_is_of_another_machine_code_or_input_is_refused(name: str, value: Any) -> None:
    profile = profile_of([run_of(inputs={"num_files": 3})])
    with pytest.raises(UsageError, match=f"{name} is .*profile anew"):
        profile.add(run_of(**{name: value}))


def test_it_says_what_it_lacks() -> None:
    spec = spec_of(step("Source", fixed_ms=3), step("Change", fixed_ms=1))
    plan = plan_of(spec, num_requests=1)
    assert profile_of([run_of()]).missing(plan, spec.config.pipeline()) == ["step 1 on the CPU"]


def test_options_tell_steps_apart_and_placements_do_not() -> None:
    one, other = (
        parse_config(
            [step("Source", replicas=replicas, num_shared_tensors=9), step("Change", fixed_ms=fixed_ms)]
        )
        for replicas, fixed_ms in ((1, 1), (2, 2))
    )
    assert variants(one)[0] == variants(other)[0]
    assert variants(one)[1] != variants(other)[1]


def test_a_damaged_one_is_one_line(tmp_path: Path) -> None:
    write(profile_of([run_of()]), tmp_path)
    (tmp_path / FACTS).write_text(json.dumps({"origin": {}}))
    with pytest.raises(UsageError, match="damaged"):
        read(tmp_path)
    with pytest.raises(UsageError, match="no profile"):
        read(tmp_path / "nowhere")


def test_an_empty_one_refuses_nothing() -> None:
    check(Profile().origin, {"num_cpus": 64}, "here")


def test_how_much_of_its_device_a_call_takes_follows_from_its_neighbours() -> None:
    """Four replicas on two cores: all calls at once take twice as long, and a call alone half of that."""
    steps = {**step("Source"), "gpus": [-1] * 4}, {**step("Change"), "gpus": [-1]}
    times = KnownTimes(lambda step, rows, request: [10.0, 0.1][step], lambda request: 2)
    runs = [
        simulated(
            spec_of(*steps, mean_interval_ms=gap_ms, arrivals="constant", videos=200),
            times,
            Surroundings(capacity={"cpu": 2.0}),
        )
        for gap_ms in (30, 0)
    ]
    for run in runs:
        run.meta.provenance = {"num_cpus": 2}
    profile, spec = profile_of(runs), spec_of(*steps)
    config, plan = spec.config.pipeline(), plan_of(spec, num_requests=1)
    around = profile.surroundings(plan, config, cores=2)
    assert around.demand[0, False] == pytest.approx(1.0, rel=0.05)
    services = profile.services(plan, config, num_requests=50, seed=0)
    alone_ms = [services.call_ns(plan.replicas[0], 2, request) / 1e6 for request in range(50)]
    assert np.mean(alone_ms) == pytest.approx(10, rel=0.05)


def test_each_of_many_gpus_is_shared() -> None:
    spec = spec_of({**step("Source"), "gpus": list(range(100))})
    spec = replace(spec, placement=replace(spec.placement, device="cuda"))
    plan = plan_of(spec, num_requests=1, is_for_this_machine=False)
    capacity = Profile().surroundings(plan, spec.config.pipeline(), cores=8).capacity
    of_gpus = {f"{of}:{gpu}": 1.0 for gpu in range(100) for of in ("cuda", "nvdec")}
    assert capacity == {"cpu": 8, **of_gpus}


def test_calls_are_told_apart_by_workers_and_by_the_pictures_of_their_requests() -> None:
    def run_with(workers: int, call_ms: float) -> Run:
        spec = spec_of(step("Source", workers=workers), mean_interval_ms=90, videos=40)
        run = simulated(
            spec, KnownTimes(lambda step, rows, request: call_ms * (1 + request % 2), lambda request: 2)
        )
        run.requests["width"] = np.array([640, 1920] * 20)
        run.requests["height"] = np.array([360, 1080] * 20)
        run.folder = Path(f"run {workers}")
        return run

    profile = profile_of([run_with(1, 5.0), run_with(4, 8.0)])
    for workers, first_ms in ((1, 5), (2, 5), (3, 8), (4, 8)):
        spec = spec_of(step("Source", workers=workers))
        plan = plan_of(spec, num_requests=9)
        services = profile.services(plan, spec.config.pipeline(), num_requests=9, seed=0)
        times_ms = [services.call_ns(plan.replicas[0], 2, request) / 1e6 for request in range(4)]
        assert times_ms == [first_ms, 2 * first_ms, first_ms, 2 * first_ms]


def test_memory_by_rows_in_the_call() -> None:
    run = run_of()
    run.tables["memory"] = {
        "replica": np.array(["1.0", "1.0", "1.0"]),
        "num_rows": np.array([2, 2, 6]),
        "held_bytes": np.array([50, 60, 90]),
        "peak_bytes": np.array([70, 80, 200]),
    }
    profile, name = profile_of([run]), variants(spec_of(*STEPS).config.pipeline())[1]
    found = [profile.peak_bytes(name, False, rows) for rows in (1, 2, 4, 12)]
    assert found == [80, 80, 200, 400]
    assert profile.peak_bytes(name, True, 2) is None


def test_runs_of_few_requests_and_of_many_are_of_the_same_inputs() -> None:
    few, many = ({"num_files": count, "sha256_of_contents": str(count)} for count in (3, 9))
    profile = profile_of([run_of(inputs=few)])
    profile.add(run_of(inputs=many))
    assert set(profile.origin["inputs"]) == {"3", "9"}
    with pytest.raises(UsageError, match="inputs is"):
        profile.add(run_of(inputs={**many, "sha256_of_contents": "other"}))


def test_this_machine_is_of_the_origin_of_a_run_that_it_just_played_and_of_no_other() -> None:
    spec = spec_of(*STEPS)
    now = origin_now(spec, {})
    check(now, origin_now(spec, now), "this machine")
    with pytest.raises(UsageError, match="num_cpus is"):
        check({**now, "num_cpus": 4096}, origin_now(spec, now), "this machine")
