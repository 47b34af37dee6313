"""torchvision's own detectors beside the steps that are made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from models.detection.model import BoxScorer, ObjectFinder
from models.detection.network import NetworkName
from models.detection.objects import Rules
from models.detection.torchvision_networks import import_detection
from models.images.model import ImageLoader
from rnb.contract import Batch, Context, Device, Request
from tests.support.images import decoded, encode, picture
from tests.support.plain_suppression import nms
from tests.support.running import ROOT

SIZES = ((500, 375), (320, 320), (97, 640), (1200, 801), (60, 50))
"""Width and height."""
LOADERS: dict[NetworkName, dict[str, Any]] = {
    "ssdlite320_mobilenet_v3_large": {
        key: value
        for key, value in json.loads((ROOT / "config/detection.json").read_text())["pipeline"][0].items()
        if key in ("resize", "crop", "antialias", "mean", "std")
    },
    "ssd300_vgg16": {
        "resize": [300, 300],
        "crop": [300, 300],
        "antialias": False,
        "mean": [0.48235, 0.45882, 0.40784],
        "std": [1 / 255, 1 / 255, 1 / 255],
    },
}
"""What the loader is told for each network, as docs/detection.md has it."""
HEAD_FACTORS: dict[NetworkName, float] = {"ssdlite320_mobilenet_v3_large": 1.0, "ssd300_vgg16": 0.1}
"""So that probabilities differ, though the pictures of SSD300 are from -128 to 128."""

RULES: dict[NetworkName, Rules] = {
    "ssdlite320_mobilenet_v3_large": Rules(0.2, 0.55, 300, 200),
    "ssd300_vgg16": Rules(0.2, 0.45, 400, 200),
}
"""torchvision's own, but for a probability that leaves many boxes and not all of them."""


def write_images(folder: Path) -> list[Path]:
    """JPEG and PNG files of all sizes."""
    paths = [folder / f"{number}{('.jpg', '.png')[number % 2]}" for number in range(len(SIZES))]
    for number, (path, size) in enumerate(zip(paths, SIZES, strict=True)):
        path.write_bytes(encode(picture(*size, seed=number), path.suffix))
    return paths


def make_reference(name: NetworkName, monkeypatch: pytest.MonkeyPatch) -> Any:
    """torchvision's whole detector with weights as of training: no kernel is tiny, no norm does nothing.

    Where torchvision's operators are compiled for another PyTorch, its suppression is a plain one.
    """
    detection = import_detection()
    operators = detection.ssd.box_ops
    if not _has_operators():
        monkeypatch.setattr(operators, "nms", nms)
    rules = RULES[name]
    network = getattr(detection, name)(
        weights=None,
        weights_backbone=None,
        score_thresh=rules.min_probability,
        nms_thresh=rules.max_overlap,
        topk_candidates=rules.max_candidates,
        detections_per_img=rules.max_objects,
    ).eval()
    generator = torch.Generator().manual_seed(5)
    for key, tensor in network.state_dict().items():
        if tensor.dim() > 1:
            fan_in = tensor[0].numel()
            of_head = HEAD_FACTORS[name] if key.startswith("head.") else 1.0
            tensor.normal_(std=of_head * (1.6 / fan_in) ** 0.5, generator=generator)
        elif key.endswith(("running_var", ".weight")):
            tensor.uniform_(0.7, 1.4, generator=generator)
        elif key.endswith((".bias", "running_mean")):
            tensor.normal_(std=0.1, generator=generator)
    return network


def _has_operators() -> bool:
    import torchvision

    return bool(torchvision.extension._has_ops())


def found_by(reference: Any, paths: Iterable[Path], device: str) -> list[dict[str, torch.Tensor]]:
    """What torchvision's detector says of images."""
    images = [torch.from_numpy(decoded(path.read_bytes())).permute(2, 0, 1) / 255 for path in paths]
    with torch.inference_mode():
        told = reference.to(device)([image.to(device) for image in images])
    return [{key: value.cpu() for key, value in one.items()} for one in told]


def found_by_steps(
    name: NetworkName, paths: Sequence[Path], batch_size: int, device: Device, checkpoint: Path
) -> list[dict[str, Any]]:
    """The results of the pipeline's steps."""
    loader = ImageLoader(
        ImageLoader.Options.model_validate(LOADERS[name]), Context(where=device, batch_size=batch_size)
    )
    options = BoxScorer.Options(network=name, checkpoint=str(checkpoint))
    inputs = loader.output(loader.options, ())
    scorer = BoxScorer(options, Context(where=device, batch_size=batch_size, inputs=inputs))
    finder = ObjectFinder(ObjectFinder.Options.model_validate(RULES[name]._asdict()), Context(where=device))
    results: list[Any] = []
    for start in range(0, len(paths), batch_size):
        some = paths[start : start + batch_size]
        batch = Batch(tuple(Request(start + number, str(path)) for number, path in enumerate(some)))
        results += finder.results(finder(scorer(loader(batch))))
    return results


def assert_same(
    told: Sequence[dict[str, Any]], expected: Sequence[dict[str, torch.Tensor]], names: Sequence[str]
) -> None:
    """The same objects, the likeliest first; probabilities within 0.0005, boxes within 0.05 pixels.

    Of two that are equally likely by that, either may come first, or fall out where only so many are told.
    """
    for one, other in zip(told, expected, strict=True):
        assert one["count"] == len(one["objects"]) == len(other["scores"]) > 20
        probabilities = [each["probability"] for each in one["objects"]]
        assert probabilities == sorted(probabilities, reverse=True)
        labels = [names[label] for label in other["labels"]]
        rest = list(zip(labels, other["scores"].tolist(), other["boxes"].tolist(), strict=True))
        for each in one["objects"]:
            same = next((found for found in rest if _is_same(each, *found)), None)
            if same is None:
                assert each["probability"] == pytest.approx(probabilities[-1], abs=0.0005), each
            else:
                rest.remove(same)
        assert all(score == pytest.approx(probabilities[-1], abs=0.0005) for _, score, _ in rest), rest


def _is_same(told: dict[str, Any], name: str, score: float, box: Sequence[float]) -> bool:
    is_there = list(told["box"].values()) == pytest.approx(box, abs=0.05)
    return told["class"] == name and told["probability"] == pytest.approx(score, abs=0.0005) and is_there
