"""What a run is, as data: its flags, what its load leaves open, its plan, its observers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rnb.command_line.flags import parse_args, spec_of
from rnb.contract.termination import UsageError
from rnb.load.load import Load
from rnb.observe.occupancy import OccupancyObserver
from rnb.observe.telemetry import TelemetryObserver
from rnb.pipeline.config import ConfigError, read_config
from rnb.spec import Limits, Placement, RunSpec, plan_of, schedule_of
from tests.support.played import NOTHING, spec_for
from tests.support.running import tiny
from tests.support.tiny_observer import TinyObserver

TINY = "tests.support.tiny_observer.TinyObserver"


def test_its_flags_ask_for_it(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING], observe=["occupancy", TINY], seed=3)
    flags = spec.flags()
    assert list(flags) == sorted(flags)
    assert flags["config_file_path"] == str(tmp_path / "pipeline.json")
    assert (flags["telemetry"], flags["occupancy"], flags["observe"]) == (False, True, [TINY])
    assert {**vars(spec.load), **vars(spec.placement), **vars(spec.limits)}.items() <= flags.items()
    known = vars(parse_args([]))
    assert set(flags) <= set(known), "each is a flag of the command line"


def test_by_default_it_is_what_the_command_line_plays_by_default() -> None:
    spec = spec_of(parse_args([]))
    assert spec == RunSpec(config=spec.config)
    assert (spec.load, spec.placement, spec.limits) == (Load(), Placement(), Limits())
    assert tuple(spec.observe) == ("telemetry",)


def test_changes_make_another_run(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING])
    assert spec.with_load(seed=9).load == replace(spec.load, seed=9)
    assert spec.with_limits(slo=5).limits.slo == 5
    assert (spec.load.seed, spec.limits.slo) == (0, None)


def test_each_run_has_observers_of_its_own(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING], observe=["telemetry", "occupancy", TINY])
    first, other = spec.observers(), spec.observers()
    assert list(map(type, first)) == [TelemetryObserver, OccupancyObserver, TinyObserver]
    assert not set(map(id, first)) & set(map(id, other))


def test_the_schedule_says_what_the_load_left_open(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING], mean_interval_ms=None, videos=None, ramp="100:100:1", duration=2)
    settled, schedule = schedule_of(spec)
    assert settled.load.videos == len(schedule) > 100
    assert settled.load.mean_interval_ms == pytest.approx(10, rel=0.3)
    assert (spec.load.videos, settled.config, settled.placement) == (None, spec.config, spec.placement)
    assert list(schedule.payloads) == [str(tmp_path / "videos" / f"{number}.mp4") for number in range(3)]


def test_an_iterator_of_the_config(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [NOTHING])
    data = {"video_path_iterator": "models.queueing.model.Requests", "pipeline": [NOTHING]}
    other = replace(spec, config=replace(spec.config, data=data))
    assert schedule_of(other)[1].payload_of_each() == ["nothing"] * 20
    data["video_path_iterator"] = "models.queueing.model.Request"
    with pytest.raises(ConfigError, match=r"^video_path_iterator: "):
        schedule_of(other)


def test_a_load_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    for load in (
        {"data": str(tmp_path / "none")},
        {"replay": str(tmp_path / "none")},
        {"warmup": 5, "duration": 1e-9, "mean_interval_ms": 5},
    ):
        with pytest.raises(UsageError) as caught:
            schedule_of(spec_for(tmp_path, [NOTHING]).with_load(**load))
        assert "\n" not in str(caught.value)


def test_queues_hold_all_that_comes_at_once(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, [tiny("Load"), tiny("Classify")])
    assert {queue.capacity for queue in plan_of(spec, num_requests=7000).queues} == {7000}
    spread = spec.with_load(mean_interval_ms=5)
    assert {queue.capacity for queue in plan_of(spread, num_requests=7000).queues} == {500}


def test_a_plan_has_the_runs_seed_checkpoint_and_clients(tmp_path: Path) -> None:
    step = {"model": "models.queueing.model.Exponential", "gpus": [0], "mean_ms": 1}
    spec = spec_for(tmp_path, [step], seed=11, clients=3)
    plan = plan_of(spec, num_requests=1)
    assert plan.replicas[0].options["seed"] == 11
    assert plan.queues[0].num_writers == 3


def test_an_unknown_observer_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--observe: 'nobody'.*telemetry, occupancy, or a class$"):
        plan_of(spec_for(tmp_path, [NOTHING], observe=["nobody"]), num_requests=1)


def test_a_plan_for_another_machine_may_have_gpus_that_are_not_here() -> None:
    config = read_config("config/r2p1d-whole.json")
    plan = plan_of(RunSpec(config=config), num_requests=1, is_for_this_machine=False)
    assert plan.gpus == [0]
    on_cpu = RunSpec(config=config, placement=Placement(device="cpu"))
    assert plan_of(on_cpu, num_requests=1, is_for_this_machine=False).gpus == []
