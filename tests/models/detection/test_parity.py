"""The objects that the steps find are those that torchvision's own detectors find."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.class_names import read_class_names
from models.detection.model import COCO_LABELS
from models.detection.network import NetworkName
from rnb.contract import CPU
from tests.support import detection


@pytest.mark.parametrize(
    "name", ["ssdlite320_mobilenet_v3_large", pytest.param("ssd300_vgg16", marks=pytest.mark.slow)]
)
def test_the_objects_are_torchvisions(
    name: NetworkName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = detection.write_images(tmp_path)
    reference = detection.make_reference(name, monkeypatch)
    torch.save(reference.state_dict(), checkpoint := tmp_path / "weights.pth")
    expected = detection.found_by(reference, paths, "cpu")
    names = read_class_names(COCO_LABELS, 91)
    for batch_size in (1, len(paths)):
        told = detection.found_by_steps(name, paths, batch_size, CPU, checkpoint)
        detection.assert_same(told, expected, names)
