"""From a profile of one config to its best candidate, in a pipeline of which everything is known."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnb.pipeline.config import ConfigFile
from rnb.planner.bottleneck import bottleneck
from rnb.planner.exploration import explore
from rnb.planner.goal import Goal, Prediction
from rnb.planner.profile import Profile
from rnb.planner.profiling import profile_by_runs
from rnb.planner.screening import Candidates, Simulator
from rnb.planner.space import Limits, Space, Values
from rnb.planner.verification import Verified, verify, winner
from rnb.record.run import Run
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import RunSpec, schedule_of
from tests.support.known_times import KnownTimes, spec_of, step

SOURCE_MS, CALL_MS, ROW_MS = 4.0, 8.0, 1.0
SPACE = Space(
    spec_of(
        {**step("Source"), "gpus": [-1], "num_shared_tensors": 16},
        {**step("Change"), "gpus": [-1]},
        videos=100,
    ),
    Limits(num_gpus=0, cores=2),
)


class Truth:
    """A machine of four cores; stands for the harness."""

    def __init__(self) -> None:
        self.specs: list[RunSpec] = []

    def run(self, spec: RunSpec) -> Run:
        spec, schedule = schedule_of(spec)
        times = KnownTimes(
            lambda step, rows, request: CALL_MS + ROW_MS * rows if step else SOURCE_MS, lambda request: 2
        )
        return simulate(spec, schedule, times, around=Surroundings(capacity={"cpu": 4.0}))

    def __call__(self, spec: RunSpec, logs: Path) -> Any:
        self.specs.append(spec)
        run = self.run(spec)
        run.folder = logs / str(len(self.specs))
        return type("Played", (), {"run": run})


def profiled(truth: Truth, seconds: float = 60) -> Profile:
    profile = Profile()
    profile_by_runs(profile, SPACE, truth, Path("nowhere"), seconds=seconds)
    return profile


def screened(goal: Goal, profile: Profile) -> tuple[Simulator, Candidates, dict[Values, Prediction]]:
    simulator = Simulator(profile=profile, cores=4)
    known = dict[Values, Prediction]()
    found = explore(SPACE, goal, simulator, known=known, until_s=time.monotonic() + 60)
    return simulator, found, known


def test_a_profile_takes_few_runs_the_telling_ones_first() -> None:
    truth = Truth()
    profile = profiled(truth)
    batches = [spec.placement.batch_size for spec in truth.specs]
    intervals_ms = [spec.load.mean_interval_ms for spec in truth.specs]
    assert batches == [1, 1, 1, 16]
    assert intervals_ms == [0, 0, pytest.approx(20, rel=0.1), 0]
    profile_by_runs(profile, SPACE, truth, Path("nowhere"), seconds=60)
    assert len(truth.specs) == 4  # nothing is missing any more


def test_without_time_only_the_first_run_is_played() -> None:
    truth = Truth()
    profiled(truth, seconds=-1)
    assert len(truth.specs) == 1


def test_what_somebody_wrote_down_is_profiled_before_what_could_be_made_of_it() -> None:
    """The other pipeline and its rate; then an option of it, which a half of its candidates have."""
    own, both = {**step("Source"), "gpus": [-1]}, {**step("Both"), "gpus": [-1]}
    listed = [{**both, "fixed_ms": 3, "choices": {"fixed_ms": [3, 4]}}, {**step("ChangeOne"), "gpus": [-1]}]
    data = {**spec_of(own).config.data, "choices": {"pipeline": [listed]}}
    spec = replace(spec_of(own), config=ConfigFile(path="known.json", data=data))
    truth = Truth()
    space = Space(spec, Limits(num_gpus=0, cores=2))
    profile_by_runs(Profile(), space, truth, Path("nowhere"), seconds=60)
    played = [
        (spec.load.mean_interval_ms == 0, *(one.get("fixed_ms") for one in spec.config.data["pipeline"]))
        for spec in truth.specs
    ]
    first = [(True, None), (False, None), (True, 3, None), (False, 3, None), (True, 4, None)]
    assert list(dict.fromkeys(played))[:5] == first
    assert (True, 3, 0, None) in played[played.index(first[-1]) :]  # Both, as a Source and a ChangeOne


def test_the_best_of_the_predicted_is_the_best_in_truth() -> None:
    truth, goal = Truth(), Goal(name="throughput")
    _, found, known = screened(goal, profiled(truth))
    predicted = min(known, key=lambda values: goal.rank(known[values]))
    real = {one.values: truth.run(one.spec.with_load(videos=400)).seconds for one in found.left}
    assert real[predicted] <= 1.05 * min(real.values())
    assert sum(found.ruled_out.values()) > 0


def test_what_cannot_reach_the_rate_is_ruled_out_before_it_is_worked_out() -> None:
    _, found, known = screened(Goal(name="latency", rate=300), profiled(Truth()))
    reasons = " ".join(found.ruled_out)
    assert "step 0 Source cannot serve 300 requests/s" in reasons
    assert known
    assert all(values[1] == (-1, -1) for values in known)


def test_verified_ones_are_played_in_turn_and_compared_with_the_start() -> None:
    truth, goal = Truth(), Goal(name="throughput")
    simulator, found, known = screened(goal, profiled(truth))
    left = {one.values: one for one in found.left}
    best = min(known, key=lambda values: goal.rank(known[values]))
    start = simulator.predict(goal, left[SPACE.start])
    chosen = [
        Verified(candidate=left[SPACE.start], predicted=start),
        Verified(candidate=left[best], predicted=known[best]),
    ]
    truth.specs.clear()
    verify(chosen, goal, truth, Path("there"), num_requests=300, num_rounds=2, has_time=lambda: True)
    played = [spec.config.data for spec in truth.specs]
    assert played == [one.candidate.spec.config.data for one in chosen] * 2
    assert winner(chosen, goal) is chosen[1]
    assert chosen[1].contrast is not None
    assert chosen[1].contrast.effects is not None
    assert chosen[1].contrast.effects.throughput.value > 1.5
    for one in chosen:
        error = one.error(goal)
        assert error is not None
        assert abs(error) < 0.05


def test_a_step_that_waits_for_slots_is_the_bottleneck_in_words() -> None:
    spec = spec_of({**step("Source"), "num_shared_tensors": 1}, step("Change", replicas=2), videos=200)
    spec, schedule = schedule_of(spec)
    times = KnownTimes(lambda step, rows, request: 5.0 + 4 * step)
    assert "waits for a free slot" in bottleneck(simulate(spec, schedule, times))


def test_fewer_cores_slow_everything_down() -> None:
    profile = profiled(Truth())
    simulator = Simulator(profile=profile, cores=4)
    twice = (0, *((-1, -1) if one.key == "gpus" else one.start for one in SPACE.dimensions))
    spec = SPACE.spec_of(twice)
    fast, slow = (replace(simulator, cores=cores).play(spec, 0) for cores in (4, 1))
    assert slow.seconds > 2.5 * fast.seconds


def test_a_pipeline_that_leaves_the_cores_free_is_played_though_its_steps_are_known() -> None:
    """Of four cores all are in use in the first pipeline, and one in the other."""
    base = spec_of({**step("Source"), "gpus": [-1] * 4})
    data = {**base.config.data, "choices": {"pipeline": [[{**step("Source"), "gpus": [-1]}]]}}
    space = Space(replace(base, config=ConfigFile(path="both.json", data=data)), Limits(num_gpus=0, cores=4))
    for percent, is_wanted in ((95.0, True), (20.0, False)):
        played: list[int] = []

        def play(spec: RunSpec, logs: Path, percent: float = percent, played: list[int] = played) -> Any:
            spec, schedule = schedule_of(replace(spec, memory=False))
            run = simulate(spec, schedule, KnownTimes(lambda *_: 9.0, lambda request: 2))
            played.append(len(spec.config.pipeline().pipeline[0].queue_groups[0].gpus))
            run.meta.provenance = {"num_cpus": 4}
            times_ns = np.array([run.start_ns, run.end_ns])
            run.tables["telemetry"] = {"time_ns": times_ns, "cpu.percent": np.full(2, percent)}
            return type("Played", (), {"run": run})

        profile_by_runs(Profile(), space, play, Path("nowhere"), seconds=60)
        assert (1 in played) == is_wanted


def test_what_may_be_far_slower_is_profiled_with_a_few_requests_first() -> None:
    """Another value of an option, of which nothing is known, takes fifty times as long."""
    space = Space(
        spec_of({**step("Source"), "gpus": [-1], "fixed_ms": 1, "choices": {"fixed_ms": [50, 1.5]}}),
        Limits(num_gpus=0, cores=1),
    )
    played: list[tuple[float, int]] = []

    def play(spec: RunSpec, logs: Path) -> Any:
        fixed_ms = spec.config.data["pipeline"][0]["fixed_ms"]
        played.append((fixed_ms, spec.load.videos or 0))
        spec, schedule = schedule_of(replace(spec, memory=False))
        run = simulate(spec, schedule, KnownTimes(lambda *_: fixed_ms))
        return type("Played", (), {"run": run})

    profile_by_runs(Profile(), space, play, Path("nowhere"), seconds=60)
    assert [count for fixed_ms, count in played if fixed_ms == 50] == [24, 120]
    assert [count for fixed_ms, count in played if fixed_ms == 1.5] == [24, 2000]
