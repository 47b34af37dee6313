"""The three networks of MTCNN: Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks, 2016 (arXiv:1604.02878).

The names of the layers are those of the weights in the package facenet-pytorch. Each network says of its
windows whether one is a face, and where in it, as offsets of the edges in sides of the window. The paper's
third network also gives five points; faces are aligned by dlib's, so it goes without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.faces.weights import weight_file

Answer = tuple[Tensor, Tensor]
"""Of each window: the probability of a face, and 4 offsets."""


class PNet(nn.Module):
    """Each window of 12 x 12 pixels, 2 pixels apart, of pictures of any size from there on."""

    SIDE, STRIDE = 12, 2

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)

    def forward(self, pixels: Tensor) -> Answer:
        """Of (n, 3, height, width): for each window (n, rows, columns) and (n, 4, rows, columns)."""
        x = self.pool(self.prelu1(self.conv1(pixels)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1], self.conv4_2(x)


class RNet(nn.Module):
    """Windows of 24 x 24 pixels."""

    SIDE = 24

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

    def forward(self, pixels: Tensor) -> Answer:
        x = self.pool(self.prelu1(self.conv1(pixels)))
        x = self.pool(self.prelu2(self.conv2(x)))
        x = self.prelu4(self.dense4(_flat(self.prelu3(self.conv3(x)))))
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


class ONet(nn.Module):
    """Windows of 48 x 48 pixels."""

    SIDE = 48

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)
        self.pool, self.last_pool = (nn.MaxPool2d(size, 2, ceil_mode=True) for size in (3, 2))

    def forward(self, pixels: Tensor) -> Answer:
        x = self.pool(self.prelu1(self.conv1(pixels)))
        x = self.pool(self.prelu2(self.conv2(x)))
        x = self.last_pool(self.prelu3(self.conv3(x)))
        x = self.prelu5(self.dense5(_flat(self.prelu4(self.conv4(x)))))
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_2(x)


def load(kind: type[Any], folder: str, device: torch.device) -> Any:
    """One of the networks with its weights. Raises ValueError for a file that is missing or does not fit."""
    path = weight_file(folder, f"{kind.__name__.lower()}.pt")
    network = kind()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({name: state[name] for name in network.state_dict()})
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{Path(path)}: no weights of {kind.__name__}: {reason}") from None
    return network.to(device).eval()


def _flat(features: Tensor) -> Tensor:
    """In the order of the first implementation's memory: column by column, then the channels."""
    return features.permute(0, 3, 2, 1).flatten(1)
