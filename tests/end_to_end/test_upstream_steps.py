"""Pipelines of steps as snuspl/rnb has them run unchanged, and find what RnB's own steps find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from models.r2p1d.network import R2P1DPart
from rnb.record.run_folder import read
from tests.support.running import ENDED_WELL, Bench
from tests.support.videos import write_video

STEPS = "tests.support.upstream_steps"
NUM_VIDEOS = 12
SMALL = {"num_clips_population": [1, 2], "num_clips_weights": [1, 1]}
LAYERS = {"layer_sizes": [1, 1, 1, 1, 1]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the steps find weights and videos."""
    folder = tmp_path_factory.mktemp("upstream")
    torch.manual_seed(3)
    torch.save({"state_dict": R2P1DPart(layer_sizes=[1, 1, 1, 1]).state_dict()}, folder / "weights.pth.tar")
    for number in range(3):
        write_video(folder / "videos" / "label" / f"{number}.mp4", num_frames=124, seed=number)
    return {
        "UPSTREAM_CHECKPOINT": str(folder / "weights.pth.tar"),
        "UPSTREAM_VIDEOS": str(folder / "videos"),
    }


def step(name: str, *groups: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"model": f"{STEPS}.{name}", "queue_groups": list(groups), **options}


LOADER = {**SMALL, "num_shared_tensors": 20}
PIPELINES: dict[str, list[dict[str, Any]]] = {
    "whole": [
        step("R2P1DLoader", {"gpus": [0], "out_queues": [0]}, **LOADER),
        step("R2P1DRunner", {"gpus": [0], "in_queue": 0}, start_index=1, end_index=5, **LAYERS),
    ],
    "nopipeline": [step("R2P1DSingleStep", {"gpus": [0]}, layer_sizes=[1, 1, 1, 1], **SMALL)],
    "segment": [
        step("R2P1DLoader", {"gpus": [0], "out_queues": [0]}, num_segments=2, **LOADER),
        step("R2P1DRunner", {"gpus": [0], "in_queue": 0, "out_queues": [0]}, **LAYERS),
        step("R2P1DAggregator", {"gpus": [-1], "in_queue": 0}, aggregate=2),
    ],
    "rnb": [
        step(
            "R2P1DLoader",
            {"gpus": [0], "out_queues": [0, 1], "queue_selector": f"{STEPS}.LargeSmallSelector"},
            num_clips_population=[1],
            num_clips_weights=[1],
        ),
        step(
            "Batcher",
            {"gpus": [0], "in_queue": 0, "out_queues": [0], "batch": 3},
            {"gpus": [1], "in_queue": 1, "out_queues": [0]},
        ),
        step("R2P1DRunner", {"gpus": [0], "in_queue": 0}, **LAYERS),
    ],
}


def labels(bench: Bench, files: dict[str, str], name: str) -> list[int]:
    """What a pipeline finds for each request; its loader draws the same clips in the same order each time."""
    config = {"video_path_iterator": f"{STEPS}.R2P1DVideoPathIterator", "pipeline": PIPELINES[name]}
    run = bench.call(config, "-v", str(NUM_VIDEOS), "-mi", "0", **files)
    assert run.status in ENDED_WELL, run.err
    found: list[int] = read(run.folder or Path()).requests["label"].tolist()
    assert len(found) == NUM_VIDEOS
    return found


def test_loader_runner_and_aggregator_find_the_same_in_segments(bench: Bench, files: dict[str, str]) -> None:
    whole = labels(bench, files, "whole")
    assert len(set(whole)) > 1
    assert labels(bench, files, "segment") == whole


@pytest.mark.parametrize("name", ["nopipeline", "rnb"])
def test_single_step_batcher_and_selector_serve_every_request(
    bench: Bench, files: dict[str, str], name: str
) -> None:
    assert min(labels(bench, files, name)) >= 0


def test_a_wrong_option_of_upstreams_runner_is_told(bench: Bench, files: dict[str, str]) -> None:
    pipeline = [PIPELINES["whole"][0], {**PIPELINES["whole"][1], "end_index": 6}]
    iterator = f"{STEPS}.R2P1DVideoPathIterator"
    run = bench.run({"video_path_iterator": iterator, "pipeline": pipeline}, "-v", "4", "-mi", "0", **files)
    assert run.status == 1
    assert "[ERROR] Wrong layer index" in run.err
    assert "step 1.0 failed: SystemExit" in run.err
