"""An SSD of torchvision's up to its boxes: what each of its thousands of boxes shows, and where it is.

    (n, 3, side, side) ─▶ backbone: maps of six scales ─▶ head ─▶ class scores, shifts ─▶ probabilities, boxes

Sources: Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016; Howard et al., "Searching for
MobileNetV3", ICCV 2019, section 6.3, for SSDLite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from models.checkpoint_file import State, fit, read_state
from models.detection.torchvision_networks import import_detection
from models.random_weights import random_state


class Facts(NamedTuple):
    """What follows from a network's name."""

    side: int
    """Width and height of its pictures, in pixels."""
    num_boxes: int
    """How many it looks at in each picture."""


NetworkName = Literal["ssdlite320_mobilenet_v3_large", "ssd300_vgg16"]
NETWORKS: dict[NetworkName, Facts] = {
    "ssdlite320_mobilenet_v3_large": Facts(320, 3234),
    "ssd300_vgg16": Facts(300, 8732),
}
"""torchvision's functions of these names make them."""


class Ssd(nn.Module):
    """Normalized pictures to the probabilities of all classes for each box, and the boxes."""

    def __init__(self, network: Any, side: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("anchors", _anchors(network, side), persistent=False)
        self.side = side

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 3, side, side) to (n, boxes, classes) and (n, boxes, 4): x_min, y_min, x_max, y_max in pixels
        of these pictures, cut off at their edges; float32."""
        told = self.network.head(list(self.network.backbone(pictures).values()))
        shifts = told["bbox_regression"].float()
        anchors = self.anchors.repeat(len(shifts), 1)  # type: ignore[operator]
        boxes = self.network.box_coder.decode_single(shifts.flatten(0, 1), anchors)
        return told["cls_logits"].float().softmax(-1), boxes.clamp(0, self.side).view_as(shifts)


def _anchors(network: Any, side: int) -> torch.Tensor:
    """The boxes (boxes, 4) from which the head's shifts are counted, in pixels."""
    picture = torch.zeros(1, 3, side, side)
    with torch.inference_mode():
        maps = list(network.backbone(picture).values())
    image_list = import_detection().image_list.ImageList(picture, [(side, side)])
    anchors: torch.Tensor = network.anchor_generator(image_list, maps)[0]
    return anchors.clone()


def build_ssd(name: NetworkName, num_classes: int, checkpoint: str | None, seed: int) -> Ssd:
    """The network on the CPU, ready for inference, with the checkpoint's weights or random ones of the seed.

    Raises ValueError where torchvision is missing, CheckpointError for a checkpoint that does not fit.
    """
    make = getattr(import_detection(), name)
    network = make(weights=None, weights_backbone=None, num_classes=num_classes)
    network.load_state_dict(_weights(name, network.state_dict(), checkpoint, seed))
    return Ssd(network.eval().requires_grad_(False), NETWORKS[name].side)


def _weights(name: str, expected: State, checkpoint: str | None, seed: int) -> State:
    if checkpoint is None:
        factors = {key: expected[key] for key in expected if key.endswith("scale_weight")}  # all are 20
        return random_state(expected, seed) | factors
    path = Path(checkpoint)
    return fit(path, expected, read_state(path), f"is it torchvision's {name}, with {len(expected)} tensors?")
