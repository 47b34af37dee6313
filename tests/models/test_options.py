"""The options of the R(2+1)D steps: what they default to, what they refuse, and how they are composed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from models.r2p1d.execution_options import ExecutionOptions
from models.r2p1d.model import (
    R2P1DAggregator,
    R2P1DLoader,
    R2P1DRunner,
    R2P1DSingleStep,
    R2P1DSyntheticLoader,
)
from models.r2p1d.options import (
    ClassNameOptions,
    ClipCountOptions,
    ClipOptions,
    DtypeOptions,
    FrameOptions,
    NetworkOptions,
    RunnerOptions,
)
from models.r2p1d.presets import PRESETS
from rnb.contract import Options, TensorSpec
from rnb.pipeline.config import first_problem


def fields(*kinds: type[Options]) -> set[str]:
    return set[str]().union(*(kind.model_fields for kind in kinds))


def test_each_step_takes_the_options_of_its_parts() -> None:
    assert fields(R2P1DLoader.Options) == fields(ClipCountOptions, FrameOptions, DtypeOptions) | {"seed"}
    assert fields(R2P1DSyntheticLoader.Options) == fields(ClipCountOptions, DtypeOptions) | {"seed"}
    assert fields(R2P1DRunner.Options) == fields(NetworkOptions, ExecutionOptions) | {
        "start_index",
        "end_index",
    }
    assert fields(R2P1DSingleStep.Options) == fields(ClipOptions, NetworkOptions, ExecutionOptions)
    assert fields(R2P1DAggregator.Options) == fields(ClassNameOptions) | {"aggregate"}


def test_the_steps_whose_options_are_the_runs_seed_and_checkpoint() -> None:
    drawn = (R2P1DLoader, R2P1DSyntheticLoader, R2P1DRunner, R2P1DSingleStep)
    assert all("seed" in fields(step.Options) for step in drawn)
    assert all("checkpoint" in fields(step.Options) for step in (R2P1DRunner, R2P1DSingleStep))


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, 15),
        ({"num_clips_population": [2, 7, 3], "num_clips_weights": [1, 1, 0]}, 7),
        ({"num_clips_population": None}, 10),
        ({"num_clips_weights": None, "num_clips": 4}, 4),
        ({"num_clips_population": None, "num_clips_weights": None, "num_clips": 1}, 1),
    ],
)
def test_the_most_clips_of_a_request(options: dict[str, Any], most: int) -> None:
    found = ClipOptions.model_validate(options)
    assert found.most_clips == most
    assert found.clips("uint8") == (TensorSpec((most, 3, 8, 112, 112), "uint8"),)


def test_the_size_of_a_clip() -> None:
    options = ClipOptions(width=20, height=24, consecutive_frames=4)
    assert options.clips("float32") == (TensorSpec((15, 3, 4, 24, 20), "float32"),)


@pytest.mark.parametrize(
    ("kind", "options", "place", "rule"),
    [
        (ClipOptions, {"num_clips": 0}, "num_clips", "greater than or equal to 1"),
        (ClipOptions, {"num_clips": "3"}, "num_clips", "valid integer"),
        (ClipOptions, {"num_clips": 3}, "", "num_clips: 3, counts only with num_clips_population: null"),
        (ClipOptions, {"index_cache": ""}, "index_cache", "at least 1 character"),
        (ClipOptions, {"num_clips_weights": [1e308, 1e308]}, "", "and their sum finite"),
        (ClipOptions, {"num_clips_population": [1, 0]}, "num_clips_population[1]", "or equal to 1"),
        (ClipOptions, {"num_clips_weights": [1, -1]}, "num_clips_weights[1]", "or equal to 0"),
        (ClipOptions, {"num_clips_weights": [1, float("inf")]}, "num_clips_weights[1]", "finite"),
        (ClipOptions, {"num_clips_weights": [1, 2, 3]}, "", "weights"),
        (ClipOptions, {"num_clips_weights": [0, 0]}, "", "weights"),
        (ClipOptions, {"width": 1.5}, "width", "valid integer"),
        (
            ClipOptions,
            {"resize": [100, 128]},
            "",
            "resize: 100 x 128, must be at least the output's 112 x 112",
        ),
        (ClipOptions, {"resize": [128]}, "resize[1]", "missing"),
        (ClipOptions, {"frame_rate": 0}, "frame_rate", "greater than 0"),
        (ClipOptions, {"frame_step": 0}, "frame_step", "greater than or equal to 1"),
        (ClipOptions, {"frame_step": 2, "frame_rate": 15}, "", "frame_step: 2, does not go with frame_rate"),
        (ClipOptions, {"preset": "imagenet"}, "preset", "'torchvision-kinetics400', 'res2plus1d' or"),
        (ClipOptions, {"preset": ["snuspl"]}, "preset", "'torchvision-kinetics400', 'res2plus1d' or"),
        (ClipOptions, {"clip_positions": "random"}, "clip_positions", "'drawn' or 'even'"),
        (NetworkOptions, {"std": [1, 0, 1]}, "std[1]", "greater than 0"),
        (NetworkOptions, {"mean": [0.5]}, "mean[1]", "missing"),
        (ClipOptions, {"backend": "ffmpeg"}, "backend", "'auto', 'nvdec', 'pyav' or 'nvvl'"),
        (ClipOptions, {"clips": 3}, "clips", "not permitted"),
        (DtypeOptions, {"dtype": "float16"}, "dtype", "'float32' or 'uint8'"),
        (NetworkOptions, {"num_classes": 0}, "num_classes", "greater than or equal to 1"),
        (NetworkOptions, {"layer_sizes": [1, 0]}, "layer_sizes[1]", "greater than or equal to 1"),
        (RunnerOptions, {"start_index": 0}, "start_index", "greater than or equal to 1"),
        (RunnerOptions, {"end_index": 6}, "end_index", "less than or equal to 5"),
        (RunnerOptions, {"start_index": 4, "end_index": 3}, "", "must be at most end_index, 3"),
    ],
)
def test_what_is_refused(kind: type[Options], options: dict[str, Any], place: str, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(options)
    where, _, message = first_problem(caught.value)
    assert where == place
    assert rule in message
    assert "\n" not in message


def test_a_preset_says_what_its_weights_expect() -> None:
    options = R2P1DSingleStep.Options.model_validate({"preset": "torchvision-kinetics400"})
    assert (options.width, options.height, options.resize) == (112, 112, (171, 128))
    assert (options.consecutive_frames, options.frame_rate, options.frame_step) == (16, 15.0, 1)
    assert (options.mean[0], options.std[2]) == (0.43216, 0.216989)
    assert options.most_clips == 15


@pytest.mark.parametrize("preset", ["torchvision-kinetics400", "res2plus1d", "snuspl"])
def test_every_preset_is_taken_by_every_step_that_has_one(preset: str) -> None:
    loader = R2P1DLoader.Options.model_validate({"preset": preset})
    runner = R2P1DRunner.Options.model_validate({"preset": preset})
    single = R2P1DSingleStep.Options.model_validate({"preset": preset})
    for name, value in PRESETS[preset].items():
        kinds = [step for step in (loader, runner, single) if name in type(step).model_fields]
        assert kinds[-1] is single
        assert [getattr(step, name) for step in kinds] == [value] * len(kinds)


def test_a_single_option_goes_before_the_preset() -> None:
    given = {"preset": "torchvision-kinetics400", "resize": None, "frame_rate": 10, "mean": [0, 0, 0]}
    options = R2P1DSingleStep.Options.model_validate(given)
    assert (options.resize, options.frame_rate, options.mean) == (None, 10.0, (0.0, 0.0, 0.0))
    assert options.consecutive_frames == 16
    assert R2P1DSingleStep.Options.model_validate(dict(options)) == options


def test_without_a_preset_frames_are_what_they_were() -> None:
    options = R2P1DSingleStep.Options()
    assert (options.resize, options.consecutive_frames, options.frame_rate) == (None, 8, None)
    assert options.mean == PRESETS["torchvision-kinetics400"]["mean"]


@pytest.mark.parametrize(
    ("preset", "level", "expected"),
    [("res2plus1d", 64.0, -0.5), ("snuspl", 64.0, 64.0), ("torchvision-kinetics400", 0.43216 * 255, 0.0)],
)
def test_what_becomes_of_a_level_of_red(preset: str, level: float, expected: float) -> None:
    options = R2P1DRunner.Options.model_validate({"preset": preset})
    assert (level / 255 - options.mean[0]) / options.std[0] == pytest.approx(expected)


def test_options_do_not_change() -> None:
    with pytest.raises(ValidationError):
        NetworkOptions().num_classes = 3
