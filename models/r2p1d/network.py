"""R(2+1)D-18 cut into five parts, of which a network holds any connected range.

    frames ─▶ 1: conv1 ─▶ 2: conv2 ─▶ 3: conv3 ─▶ 4: conv4 ─▶ 5: conv5, pool, linear ─▶ logits
              the stem    residual layers; conv3, 4 and 5 halve frames, height and width

Source: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018.
"""

import importlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from models.r2p1d.module import SpatioTemporalConv, Triple, num_mid_channels
from models.r2p1d.parts import CHANNELS, DEFAULT_LAYER_SIZES, NUM_PARTS, check_layer_sizes, check_range

STEM_KERNEL: Triple = (3, 7, 7)
BLOCK_KERNEL: Triple = (3, 3, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """What published implementations of the paper do differently; weights of one do not fit another."""

    name: str
    has_bias: bool
    """Whether the convolutions have biases."""
    stem_mid_channels: int
    """Channels between the stem's two convolutions."""
    has_stem_norm: bool
    """Whether batch norm and ReLU follow the stem's temporal convolution."""
    shares_mid_channels: bool
    """Whether both convolutions of a block take the intermediate channels computed for its first."""
    factors_shortcut: bool
    """Whether the 1x1x1 convolution of a downsampling shortcut is factored too."""


RES2PLUS1D = Variant(
    name="res2plus1d",
    has_bias=True,
    stem_mid_channels=num_mid_channels(CHANNELS[0], CHANNELS[1], STEM_KERNEL),
    has_stem_norm=False,
    shares_mid_channels=False,
    factors_shortcut=True,
)
"""The network that RnB's own checkpoints were trained with (irhumshafkat/R2Plus1D-PyTorch)."""

TORCHVISION = Variant(
    name="torchvision",
    has_bias=False,
    stem_mid_channels=45,
    has_stem_norm=True,
    shares_mid_channels=True,
    factors_shortcut=False,
)
"""torchvision.models.video.r2plus1d_18, which follows the paper's authors' own code."""


class R2P1DPart(nn.Module):
    """Parts `start_index` to `end_index` (1 to 5, both included) of R(2+1)D.

    Takes (rows,) + input_shape(start_index), gives (rows,) + output_shape(end_index). `layer_sizes` are the
    numbers of residual blocks in conv2 to conv5, whichever of them the range holds: the same value describes
    every part of a network.
    """

    def __init__(
        self,
        start_index: int = 1,
        end_index: int = NUM_PARTS,
        *,
        num_classes: int = 400,
        layer_sizes: Sequence[int] = DEFAULT_LAYER_SIZES,
        variant: Variant = RES2PLUS1D,
    ) -> None:
        """Raises ValueError for a range or layer sizes that do not exist."""
        super().__init__()
        check_range(start_index, end_index)
        check_layer_sizes(layer_sizes)
        if num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}; it must be at least 1")
        parts = (
            (f"conv{index}", _make_part(index, layer_sizes, variant))
            for index in range(start_index, end_index + 1)
        )
        self.res2plus1d = nn.Sequential(OrderedDict(parts))
        self.has_classifier = end_index == NUM_PARTS
        if self.has_classifier:
            self.pool = nn.AdaptiveAvgPool3d(1)
            self.linear = nn.Linear(CHANNELS[NUM_PARTS], num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.res2plus1d(x)
        if self.has_classifier:
            x = self.linear(self.pool(x).flatten(1))
        return x


class Stem(SpatioTemporalConv):
    """Part 1: halves height and width."""

    def __init__(self, variant: Variant) -> None:
        super().__init__(
            CHANNELS[0],
            CHANNELS[1],
            STEM_KERNEL,
            stride=(1, 2, 2),
            mid_channels=variant.stem_mid_channels,
            bias=variant.has_bias,
        )
        self.has_norm = variant.has_stem_norm
        if self.has_norm:
            self.outbn = nn.BatchNorm3d(CHANNELS[1])
            self.outrelu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = super().forward(x)
        return self.outrelu(self.outbn(x)) if self.has_norm else x


class ResidualLayer(nn.Module):
    """Parts 2 to 5: residual blocks, of which the first may downsample."""

    def __init__(self, in_channels: int, out_channels: int, num_blocks: int, variant: Variant) -> None:
        super().__init__()
        self.block1 = ResidualBlock(in_channels, out_channels, variant)
        self.blocks = nn.Sequential(
            *(ResidualBlock(out_channels, out_channels, variant) for _ in range(num_blocks - 1))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.blocks(self.block1(x))
        return out


class ResidualBlock(nn.Module):
    """Two factored convolutions beside a shortcut; more output than input channels means a stride of 2."""

    def __init__(self, in_channels: int, out_channels: int, variant: Variant) -> None:
        super().__init__()
        self.downsample = in_channels != out_channels
        stride: Triple = (2, 2, 2) if self.downsample else (1, 1, 1)
        mid_channels = num_mid_channels(in_channels, out_channels, BLOCK_KERNEL)
        self.conv1 = SpatioTemporalConv(
            in_channels, out_channels, BLOCK_KERNEL, stride=stride, bias=variant.has_bias
        )
        self.bn1 = nn.BatchNorm3d(out_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = SpatioTemporalConv(
            out_channels,
            out_channels,
            BLOCK_KERNEL,
            mid_channels=mid_channels if variant.shares_mid_channels else None,
            bias=variant.has_bias,
        )
        self.bn2 = nn.BatchNorm3d(out_channels)
        if self.downsample:
            self.downsampleconv = _make_shortcut(in_channels, out_channels, stride, variant)
            self.downsamplebn = nn.BatchNorm3d(out_channels)
        self.outrelu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        if self.downsample:
            x = self.downsamplebn(self.downsampleconv(x))
        out: torch.Tensor = self.outrelu(x + residual)
        return out


def _make_shortcut(in_channels: int, out_channels: int, stride: Triple, variant: Variant) -> nn.Module:
    if variant.factors_shortcut:
        return SpatioTemporalConv(in_channels, out_channels, (1, 1, 1), stride=stride, bias=variant.has_bias)
    return nn.Conv3d(in_channels, out_channels, (1, 1, 1), stride=stride, bias=variant.has_bias)


def _make_part(index: int, layer_sizes: Sequence[int], variant: Variant) -> nn.Module:
    if index == 1:
        return Stem(variant)
    return ResidualLayer(CHANNELS[index - 1], CHANNELS[index], layer_sizes[index - 2], variant)


_FORMER = ("R2Plus1DClassifier", "R2Plus1DLayerWrapper", "SpatioTemporalResBlock")


def __getattr__(name: str) -> Any:
    """The names that steps written for snuspl/rnb import from here."""
    if name not in _FORMER:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module("models.r2p1d.former_network"), name)
