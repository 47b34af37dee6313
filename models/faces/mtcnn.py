"""MTCNN: a pyramid of each picture through a small network, what that finds through two larger ones.

Zhang et al. 2016 (arXiv:1604.02878). All pictures of a call, and all windows of them, go through a network
at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.faces.face import Face
from models.faces.mtcnn_networks import ONet, PNet, RNet, load
from models.faces.shrinking import shrunk, sums_of
from models.suppression import suppress

PYRAMID_STEP = 0.709
"""About the square root of a half: each level has half the pixels of the one before."""
OVERLAP_IN_A_LEVEL, OVERLAP = 0.5, 0.7


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What is taken for a face."""

    min_face_size: int = 40
    """Smaller faces are not looked for; the time grows with the inverse of its square."""
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    """The probability that each network must give."""


class Boxes(NamedTuple):
    """Windows of all pictures of a call."""

    edges: Tensor
    """(boxes, 4) x_min, y_min, x_max, y_max, in pixels of the picture."""
    scores: Tensor
    owner: Tensor
    """The number of each box's picture."""
    offsets: Tensor
    """Where the face is, in sides of the box: (boxes, 4)."""

    def take(self, which: Tensor) -> Boxes:
        return Boxes(*(values[which] for values in self))

    def refined(self) -> Tensor:
        """The edges moved by the offsets."""
        sides = self.edges[:, 2:] - self.edges[:, :2]
        return self.edges + self.offsets * sides.repeat(1, 2)


class Mtcnn:
    """The cascade on one device.

    Raises:
        ValueError: weights are missing, or are none of these networks.
    """

    def __init__(self, folder: str, device: torch.device, sensitivity: Sensitivity | None = None) -> None:
        self._sensitivity = sensitivity or Sensitivity()
        self._proposing: PNet = load(PNet, folder, device)
        self._refining: RNet = load(RNet, folder, device)
        self._deciding: ONet = load(ONet, folder, device)

    @torch.inference_mode()
    def find(self, pictures: Tensor) -> list[list[Face]]:
        """The faces of pictures (n, height, width, 3), RGB, uint8, on the device; of each, the best first."""
        sums = sums_of(pictures)
        propose, refine, decide = self._sensitivity.thresholds
        boxes = self._proposed(sums, propose)
        boxes = self._judged(self._refining, sums, boxes, refine)
        boxes = boxes.take(suppress(boxes.edges, boxes.scores, boxes.owner, OVERLAP, "union"))
        boxes = self._judged(self._deciding, sums, boxes, decide)
        boxes = boxes._replace(edges=boxes.refined())
        boxes = boxes.take(suppress(boxes.edges, boxes.scores, boxes.owner, OVERLAP, "smaller"))
        return _by_picture(boxes, len(pictures))

    def _proposed(self, sums: Tensor, threshold: float) -> Boxes:
        """The windows of all levels of the pyramid that may be faces."""
        _, height, width, _ = sums.shape
        sizes = pyramid(height - 1, width - 1, self._sensitivity.min_face_size)
        levels = [self._level(sums, size, threshold) for size in sizes]
        empty = sums.new_zeros((0, 4), dtype=torch.float32)
        none = Boxes(empty, empty[:, 0], empty[:, 0].long(), empty)
        boxes = Boxes(*(torch.cat(values) for values in zip(none, *levels, strict=True)))
        return boxes.take(suppress(boxes.edges, boxes.scores, boxes.owner, OVERLAP, "union"))

    def _level(self, sums: Tensor, size: tuple[int, int], threshold: float) -> Boxes:
        count, height, width = len(sums), sums.shape[1] - 1, sums.shape[2] - 1
        everything = torch.tensor([[0, 0, width, height]], device=sums.device).expand(count, 4)
        level = shrunk(sums, torch.arange(count, device=sums.device), everything, size)
        probability, offsets = self._proposing(_normalized(level))
        owner, row, column = (probability > threshold).nonzero(as_tuple=True)
        corner = torch.stack([column, row], 1) * PNet.STRIDE
        scale = torch.tensor([width / size[1], height / size[0]], device=sums.device).repeat(2)
        boxes = Boxes(
            torch.cat([corner, corner + PNet.SIDE], 1) * scale,
            probability[owner, row, column],
            owner,
            offsets.permute(0, 2, 3, 1)[owner, row, column],
        )
        return boxes.take(suppress(boxes.edges, boxes.scores, boxes.owner, OVERLAP_IN_A_LEVEL, "union"))

    def _judged(self, network: RNet | ONet, sums: Tensor, boxes: Boxes, threshold: float) -> Boxes:
        """Those boxes, refined and made square, that a network takes for faces."""
        edges = _squared(boxes.refined()).round()
        is_large = (edges[:, 2:] - edges[:, :2]).amin(1) >= 1
        edges, owner = edges[is_large], boxes.owner[is_large]
        windows = shrunk(sums, owner, edges.long(), (network.SIDE, network.SIDE))
        probability, offsets = network(_normalized(windows))
        return Boxes(edges, probability, owner, offsets).take(probability > threshold)


def pyramid(height: int, width: int, min_face_size: int) -> list[tuple[int, int]]:
    """The height and width of each level, from where the smallest face fills a window of PNet."""
    sizes, scale = list[tuple[int, int]](), PNet.SIDE / min_face_size
    while min(size := (round(height * scale), round(width * scale))) >= PNet.SIDE:
        sizes.append(size)
        scale *= PYRAMID_STEP
    return sizes


def _normalized(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) / 128


def _squared(edges: Tensor) -> Tensor:
    """With the longer side for both, about the same centre."""
    centre, sides = (edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]
    half = sides.amax(1, keepdim=True) / 2
    return torch.cat([centre - half, centre + half], 1)


def _by_picture(boxes: Boxes, num_pictures: int) -> list[list[Face]]:
    faces: list[list[Face]] = [[] for _ in range(num_pictures)]
    rows = zip(boxes.owner.tolist(), boxes.edges.tolist(), boxes.scores.tolist(), strict=True)
    for owner, edges, score in rows:
        faces[owner].append(Face(tuple(edges), score))
    return faces
