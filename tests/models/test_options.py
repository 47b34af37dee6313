"""The options of the R(2+1)D steps: what they default to, what they refuse, and how they are composed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from models.r2p1d.execution import ExecutionOptions
from models.r2p1d.model import (
    R2P1DAggregator,
    R2P1DLoader,
    R2P1DRunner,
    R2P1DSingleStep,
    R2P1DSyntheticLoader,
)
from models.r2p1d.options import (
    ClipCountOptions,
    ClipOptions,
    DtypeOptions,
    FrameOptions,
    NetworkOptions,
    RunnerOptions,
)
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
    assert fields(R2P1DAggregator.Options) == {"aggregate"}


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
        (ClipOptions, {"num_clips_population": [1, 0]}, "num_clips_population[1]", "or equal to 1"),
        (ClipOptions, {"num_clips_weights": [1, -1]}, "num_clips_weights[1]", "or equal to 0"),
        (ClipOptions, {"num_clips_weights": [1, float("inf")]}, "num_clips_weights[1]", "finite"),
        (ClipOptions, {"num_clips_weights": [1, 2, 3]}, "", "weights"),
        (ClipOptions, {"num_clips_weights": [0, 0]}, "", "weights"),
        (ClipOptions, {"width": 1.5}, "width", "valid integer"),
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


def test_options_do_not_change() -> None:
    with pytest.raises(ValidationError):
        NetworkOptions().num_classes = 3
