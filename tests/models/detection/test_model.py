"""Finding objects as steps: what goes from one to the next, and what a wrong pipeline is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from models.class_names import read_class_names
from models.detection.model import COCO_LABELS, BoxScorer, ObjectFinder
from models.detection.objects import DetectionResult
from rnb.contract import Batch, Context, Request, RequestError, TensorSpec
from rnb.record.run_folder import read
from tests.end_to_end.conftest import bench
from tests.support.images import write_images
from tests.support.running import ENDED_WELL, ROOT, Bench

__all__ = ["bench"]

PICTURES = TensorSpec((1, 3, 320, 320))
OUTPUT = (TensorSpec((1, 3234, 91)), TensorSpec((1, 3234, 4)))
CUT = {"size": [640, 320], "resized": [320, 320], "crop": [0, 0, 320, 320], "mirrored": False}


def test_the_names_are_cocos() -> None:
    names = read_class_names(COCO_LABELS, 91)
    assert (names[1], names[18], names[90]) == ("person", "dog", "toothbrush")


def test_the_scorer_hands_on_what_the_loader_says() -> None:
    step = BoxScorer(BoxScorer.Options(seed=2), Context(inputs=(PICTURES,)))
    assert step.output(step.options, (PICTURES,)) == OUTPUT
    step.warm_up([1, 2])
    pictures = torch.randn(2, 3, 320, 320)
    output = step(Batch((Request(0, "a"), Request(1, "b")), (pictures,), ((1,), (1,))))
    assert output.payloads == ["a", "b"]
    assert [tuple(tensor.shape) for tensor in output.tensors] == [(2, 3234, 91), (2, 3234, 4)]
    assert step.facts() == {"weights": "random, of seed 2"}


@pytest.mark.parametrize(
    "inputs", [(), (TensorSpec((1, 3, 300, 300)),), (TensorSpec((1, 3, 320, 320), "uint8"),), OUTPUT]
)
def test_pictures_of_another_kind_are_refused(inputs: tuple[TensorSpec, ...]) -> None:
    with pytest.raises(ValueError, match=r'pictures of 320x320, so ImageLoader with "crop": \[320, 320\]'):
        BoxScorer.output(BoxScorer.Options(), inputs)


def test_a_checkpoint_is_looked_at_before_the_start(tmp_path: Path) -> None:
    path = tmp_path / "none.pth"
    with pytest.raises(ValueError, match=r"none\.pth: cannot be read"):
        BoxScorer.output(BoxScorer.Options(checkpoint=str(path)), (PICTURES,))


def finder(**options: Any) -> ObjectFinder:
    return ObjectFinder(ObjectFinder.Options(**options), Context())


def scored(num_pictures: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two boxes in each picture: a dog, the surer the later the picture, and background."""
    probabilities = torch.zeros(num_pictures, 2, 91)
    probabilities[:, 1, 0] = 1
    probabilities[:, 0, 18] = torch.linspace(0.6, 0.9, num_pictures)
    return probabilities, torch.tensor([[10.0, 20, 100, 200], [0, 0, 5, 5]]).repeat(num_pictures, 1, 1)


def test_the_finder_says_what_is_where() -> None:
    step = finder(max_pictures=2)
    assert step.output(step.options, OUTPUT) == ()
    assert ObjectFinder.result_kind is DetectionResult
    requests = tuple(Request(number, CUT) for number in range(5))
    results = step.results(step(Batch(requests, scored(5), ((1, 1),) * 5)))
    assert [result["count"] for result in results] == [1] * 5
    assert [result["objects"][0]["probability"] for result in results] == [0.6, 0.675, 0.75, 0.825, 0.9]
    assert results[0]["objects"][0]["class"] == "dog"
    assert results[0]["objects"][0]["box"] == {"x_min": 20.0, "y_min": 20.0, "x_max": 200.0, "y_max": 200.0}


def test_the_finder_refuses_what_no_loader_said() -> None:
    requests = (Request(0, CUT), Request(7, None))
    with pytest.raises(RequestError, match="ImageLoader") as caught:
        finder()(Batch(requests, scored(2), ((1, 1),) * 2))
    assert caught.value.request_ids == [7]


def test_names_must_be_as_many_as_classes(tmp_path: Path) -> None:
    (labels := tmp_path / "labels.txt").write_text("background\ncat\n")
    with pytest.raises(ValueError, match=r"labels: .*labels\.txt: 2 names for 91 classes"):
        ObjectFinder.output(ObjectFinder.Options(labels=str(labels)), OUTPUT)
    with pytest.raises(ValueError, match="BoxScorer must come before"):
        ObjectFinder.output(ObjectFinder.Options(), (PICTURES,))


def test_a_run_finds_objects_in_batches(bench: Bench, tmp_path: Path) -> None:
    write_images(tmp_path / "images", 3)
    config = json.loads((ROOT / "config/detection-cpu.json").read_text())
    run = bench.call(config, "--data", str(tmp_path / "images"), "-mi", "0", "-v", "6", "-b", "4")
    assert run.status in ENDED_WELL, run.err
    assert run.folder is not None
    kept = read(run.folder)
    assert [replica["facts"] for replica in kept.meta.replicas][1] == {"weights": "random, of seed 0"}
    for number in range(3):
        first, again = kept.results[number], kept.results[number + 3]
        assert first["count"] == len(first["objects"]) > 0
        assert DetectionResult.agree(first, again)
        assert all(0 <= one["box"]["x_min"] <= one["box"]["x_max"] <= 120 for one in first["objects"])
