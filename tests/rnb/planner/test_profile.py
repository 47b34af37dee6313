"""A profile: kept, read back, used, and refused where it is of something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnb.contract.termination import UsageError
from rnb.pipeline.config import parse_config
from rnb.planner.profile import FACTS, Profile, profile_of, read, variants, write
from rnb.record.run import Run
from rnb.simulation.simulate import simulate
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
    other = simulate(
        spec,
        schedule,
        profile.services(config, num_requests=200, seed=0),
        around=profile.surroundings(config, cores=8),
    )
    assert other.latency_ms.tolist() == pytest.approx(run.latency_ms.tolist(), abs=1e-3)


def test_a_step_that_is_to_be_faster() -> None:
    config = spec_of(*STEPS).config.pipeline()
    services = profile_of([run_of()]).services(config, num_requests=9, seed=0, speed={1: 2.0})
    plan = plan_of(spec_of(*STEPS), num_requests=9)
    assert services.call_ns(plan.replicas[0], 2, 0) == 5_000_000
    assert services.call_ns(plan.replicas[1], 2, 0) == 3_000_000
    assert services.call_ns(plan.replicas[1], 4, 0) == 6_000_000  # in proportion to what was seen


@pytest.mark.parametrize(("name", "value"), [("num_cpus", 4), ("commit", "def"), ("inputs", {"num": 3})])
def test_what_is_of_another_machine_code_or_input_is_refused(name: str, value: Any) -> None:
    profile = profile_of([run_of()])
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
    Profile().check({"num_cpus": 64}, "here")
