"""What may be supposed, and what follows for a system of which everything is known."""

from __future__ import annotations

import pytest

from rnb.contract.termination import UsageError
from rnb.planner.what_if import parse_what_if, supposed
from tests.support.known_profiles import known_system
from tests.support.known_times import spec_of, step

SYSTEM = known_system(
    spec_of({**step("Source"), "gpus": [0]}, {**step("ChangeOne"), "gpus": [0, -1]}), {1: [4.0]}, {1: [8.0]}
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", [8]),
        ("4,1,2", [1, 2, 4]),
        ("1..8", [1, 2, 4, 8]),
        ("3..20", [3, 6, 12, 20]),
        ("10..45:10", [10, 20, 30, 40, 45]),
        ("7..7", [7]),
    ],
)
def test_values(text: str, values: list[float]) -> None:
    assert parse_what_if([f"gpus={text}"]).settings == {"gpus": values}


def test_several_settings_make_one_point_and_a_range_makes_several() -> None:
    one = parse_what_if(["gpus=8", "cores=128", "step1=2.5"])
    assert one.varied is None
    assert one.points() == [{"gpus": 8, "cores": 128, "step1": 2.5}]
    several = parse_what_if(["cores_per_gpu=16", "gpus=1..4", "rates=10,1000", "videos=1080p"])
    assert several.varied == "gpus"
    assert several.points() == [{"cores_per_gpu": 16, "gpus": count} for count in (1, 2, 4)]
    assert several.rates == [10, 1000]
    assert several.videos == "1080p"


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["colour=red"], "colour=red: must be one of gpus=N"),
        (["gpus"], "gpus: must be one of"),
        (["stepx=2"], "stepx=2: must be one of"),
        (["gpus=many"], "gpus=many: many is not a whole number from 1"),
        (["gpus=0"], "0 is not a whole number"),
        (["gpus=1.5"], "1.5 is not a whole number"),
        (["gpus=99999"], "99999 is not a whole number from 1 to 4,096"),
        (["decode_speed=-1"], "-1 is not a number above 0"),
        (["decode_speed=nan"], "nan is not a number above 0"),
        (["step0="], "nothing is not a number above 0"),
        (["gpus=8..2"], "gpus=8..2: the range runs backwards"),
        (["gpus=1..1000:1"], "1000 points, of at most 100"),
        (["gpus=1..4", "cores=1..4"], "gpus, cores: only one may have several values"),
        (["gpus=1", "gpus=2"], "gpus is there twice"),
        (["cores=8", "cores_per_gpu=8"], "say one of them"),
        (["videos=huge"], "videos=huge: must be one of 480p"),
        (["rates=10"], "looked for in a range"),
    ],
)
def test_nonsense_is_one_line(texts: list[str], problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_what_if(texts)
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_more_gpus_have_more_of_everything_unless_it_is_said() -> None:
    eight = supposed(SYSTEM, {"gpus": 8})
    by_step = [[one.gpu for one in eight.plan.replicas if one.step == step] for step in (0, 1)]
    assert by_step == [list(range(8)), [*range(8), *[-1] * 8]]
    assert eight.simulator.cores == 8 * SYSTEM.simulator.cores
    assert supposed(SYSTEM, {"gpus": 8, "cores": 128}).simulator.cores == 128
    assert supposed(SYSTEM, {"gpus": 8, "cores_per_gpu": 3}).simulator.cores == 24


@pytest.mark.parametrize(
    ("point", "per_s"),
    [
        ({}, 250),  # 4 ms of step 0; step 1 has two workers of 8 ms
        ({"step0": 2}, 250),
        ({"step0": 2, "step1": 2}, 500),
        ({"gpus": 3}, 750),
        ({"gpus": 3, "step0": 0.5}, 375),
    ],
)
def test_what_follows(point: dict[str, float], per_s: float) -> None:
    assert supposed(SYSTEM, point).per_s == pytest.approx(per_s, rel=0.01)


def test_cores_are_shared_by_calls_that_use_them() -> None:
    spec = spec_of({**step("ChangeOne"), "gpus": [-1] * 4})
    system = known_system(spec, {1: [10.0]}, cores=4, demand=1.0)
    assert supposed(system, {}).per_s == pytest.approx(400, rel=0.01)
    assert supposed(system, {"cores": 1}).per_s == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(
    ("point", "problem"),
    [
        ({"step2": 2.0}, "step2: the pipeline has steps 0 to 1"),
        ({"decode_speed": 2.0}, "no step of this pipeline is known to decode only (Source, ChangeOne)"),
    ],
)
def test_a_step_that_is_not_there(point: dict[str, float], problem: str) -> None:
    with pytest.raises(UsageError, match="what-if") as refused:
        supposed(SYSTEM, point)
    assert problem in str(refused.value)


def test_a_pipeline_without_gpus_has_none_to_add() -> None:
    system = known_system(spec_of({**step("ChangeOne"), "gpus": [-1]}), {1: [10.0]})
    for point in ({"gpus": 2.0}, {"cores_per_gpu": 2.0}):
        with pytest.raises(UsageError, match="has no replica on a GPU"):
            supposed(system, point)


def test_a_decoder_twice_as_fast() -> None:
    loader = {"model": "models.r2p1d.model.R2P1DLoader", "gpus": [0]}
    system = known_system(spec_of(loader), {1: [10.0]})
    assert supposed(system, {"decode_speed": 2}).per_s == pytest.approx(200, rel=0.01)


def test_a_profile_without_gpu_samples_says_nothing_of_gpus() -> None:
    spec = spec_of(step("ChangeOne"), placement={"device": "auto"})
    with pytest.raises(UsageError, match="the profile says nothing of step 0 on a GPU"):
        known_system(spec, {1: [10.0]})
    assert known_system(spec, {1: [10.0]}, is_gpu=True).per_s == pytest.approx(100, rel=0.01)
