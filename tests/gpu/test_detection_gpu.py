"""The objects that the steps find on a GPU are those of torchvision's own detectors there and on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.class_names import read_class_names
from models.detection.model import COCO_LABELS
from models.detection.network import NetworkName
from rnb.contract import Device
from tests.support import detection

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", list(detection.RULES))
def test_the_objects_are_torchvisions(
    name: NetworkName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    paths = detection.write_images(tmp_path)
    reference = detection.make_reference(name, monkeypatch)
    torch.save(reference.state_dict(), checkpoint := tmp_path / "weights.pth")
    names = read_class_names(COCO_LABELS, 91)
    for where in ("cuda", "cpu"):
        expected = detection.found_by(reference, paths, where)
        for batch_size in (1, len(paths)):
            told = detection.found_by_steps(name, paths, batch_size, Device("cuda", 0), checkpoint)
            detection.assert_same(told, expected, names)
