"""ResNet-50 for pictures, whose weights have the names that torchvision gives them.

    (n, 3, h, w) ─▶ 7x7 ─▶ pool ─▶ layer1 … layer4: 3, 4, 6, 3 bottlenecks, the last three halve ─▶ mean ─▶ fc

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; the stride is in a bottleneck's
3x3, as torchvision has it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.checkpoint_file import State, fit, read_state
from models.random_weights import random_state

NUM_BLOCKS = (3, 4, 6, 3)
_EXPANSION = 4
# 1/√16 for sixteen residual blocks: Hayou et al., "Stable ResNet", AISTATS 2021.
_BRANCH_SCALE = 0.25


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the input added."""

    def __init__(self, num_inputs: int, width: int, stride: int) -> None:
        super().__init__()
        num_outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(num_inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, num_outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(num_outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(num_inputs, num_outputs, 1, stride, bias=False), nn.BatchNorm2d(num_outputs)
            )
            if num_inputs != num_outputs
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        added: torch.Tensor = self.relu(self.bn3(self.conv3(x)) + shortcut)
        return added


class ResNet50(nn.Module):
    """Normalized pictures (n, 3, height, width) to logits (n, num_classes)."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _layer(64, 64, NUM_BLOCKS[0], stride=1)
        self.layer2 = _layer(256, 128, NUM_BLOCKS[1], stride=2)
        self.layer3 = _layer(512, 256, NUM_BLOCKS[2], stride=2)
        self.layer4 = _layer(1024, 512, NUM_BLOCKS[3], stride=2)
        self.fc = nn.Linear(512 * _EXPANSION, num_classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(pictures))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


def _layer(num_inputs: int, width: int, num_blocks: int, *, stride: int) -> nn.Sequential:
    others = (Bottleneck(width * _EXPANSION, width, 1) for _ in range(num_blocks - 1))
    return nn.Sequential(Bottleneck(num_inputs, width, stride), *others)


def build_resnet50(num_classes: int, checkpoint: str | None, seed: int) -> ResNet50:
    """The network on the CPU, ready for inference, with the checkpoint's weights or random ones of the seed.

    Raises CheckpointError for a checkpoint that does not fit.
    """
    with torch.device("meta"):
        network = ResNet50(num_classes)
    network.load_state_dict(_weights(network.state_dict(), checkpoint, seed), assign=True)
    return network.eval().requires_grad_(False)


def _weights(expected: State, checkpoint: str | None, seed: int) -> State:
    if checkpoint is None:
        return random_state(expected, seed, branch_end=".conv3.weight", branch_scale=_BRANCH_SCALE)
    path = Path(checkpoint)
    return fit(path, expected, read_state(path), "is it a ResNet-50 as torchvision saves it?")
