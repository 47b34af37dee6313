"""R(2+1)D as fewer and larger calls: the same function of its input, for inference alone.

Activations lie as (rows, frames, height, width, channels), so a factored convolution is two 2D ones, of
views:

    spatial   rows x frames images of height x width
    temporal  rows images of frames x (height x width)

Batch norm is folded into the convolution before it; bias, shortcut and ReLU go into the same call; channels
are padded with zeros to what tensor cores take; what a shortcut's stride skips is not computed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.r2p1d.module import SpatioTemporalConv
from models.r2p1d.network import R2P1DPart, ResidualBlock, ResidualLayer, Stem

CHANNEL_MULTIPLE = 8
"""Tensor cores take 16 bytes of channels at a time (NVIDIA, "Convolutional Layers User's Guide")."""

COLOURS = 3
_PIXEL_CHANNELS = COLOURS + 1  # and a constant 1, whose weights are the shift of the normalization
_CELL_PIXELS = 2  # the stem's stride: side by side they are one cell of CHANNEL_MULTIPLE channels
_CELLS_BEFORE, _CELLS_AFTER = 2, 1  # what seven columns with a stride of two reach beyond the frame


class LoweredPart(nn.Module):
    """Gives what `part` gives, from what `make_input` makes; its features lie as the module says.

    `scale` and `shift` normalize the colours of frames from 0 to 255 that the stem takes.
    """

    def __init__(self, part: R2P1DPart, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        self.takes_frames = isinstance(part.res2plus1d[0], Stem)
        layers = (
            _lower_stem(layer, scale, shift) if isinstance(layer, Stem) else _lower_layer(layer)
            for layer in part.res2plus1d
        )
        self.layers = nn.Sequential(*layers)
        self.linear = part.linear if part.has_classifier else None

    def make_input(
        self, num_rows: int, row: tuple[int, ...], *, dtype: torch.dtype, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """An input for `forward`, and the view of it, (num_rows, *row), into which rows are to be copied."""
        channels, frames, height, width = row
        if not self.takes_frames:
            features = torch.zeros(num_rows, frames, height, width, channels, dtype=dtype, device=device)
            return features, features.permute(0, 4, 1, 2, 3)
        num_cells = -(-width // _CELL_PIXELS) + _CELLS_BEFORE + _CELLS_AFTER
        shape = (num_rows, frames, height, num_cells * _CELL_PIXELS, _PIXEL_CHANNELS)
        pixels = torch.zeros(shape, dtype=dtype, device=device)
        first = _CELLS_BEFORE * _CELL_PIXELS
        inside = pixels[:, :, :, first : first + width]
        inside[..., COLOURS] = 1
        return pixels.view(*shape[:3], num_cells, -1), inside[..., :COLOURS].permute(0, 4, 1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers(x)
        if self.linear is None:
            return x.permute(0, 4, 1, 2, 3)
        # The mean in float32: a long sum of 16-bit numbers would lose more than the network does.
        logits: torch.Tensor = self.linear(x.mean((1, 2, 3), dtype=torch.float32).to(x.dtype))
        return logits


class Convolution(nn.Module):
    """A 2D convolution of a view, and in the same call what follows it: bias, shortcut, ReLU."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        relu: bool,
        temporal: bool = False,
    ) -> None:
        """`weight` is (out channels, in channels, height, width), or (…, frames, 1) when `temporal`."""
        super().__init__()
        self.weight: torch.Tensor
        self.bias: torch.Tensor | None
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self.padding = padding
        self._geometry: Any = (stride, padding, (1, 1), 1)
        self._relu, self._temporal = relu, temporal

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor | None = None) -> torch.Tensor:
        out = self._convolve(self._images(x), None if shortcut is None else self._images(shortcut))
        out = out.permute(0, 2, 3, 1)
        rows, frames, height, width, _ = x.shape
        if self._temporal:
            return out.reshape(rows, -1, height, width, out.shape[3])
        return out.reshape(rows, frames, *out.shape[1:])

    def _images(self, x: torch.Tensor) -> torch.Tensor:
        images = x.flatten(2, 3) if self._temporal else x.flatten(0, 1)
        return images.permute(0, 3, 1, 2)

    def _convolve(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        if x.is_cuda and self._relu:
            if shortcut is None:
                return torch.cudnn_convolution_relu(x, self.weight, self.bias, *self._geometry)
            return torch.cudnn_convolution_add_relu(x, self.weight, shortcut, 1.0, self.bias, *self._geometry)
        out = functional.conv2d(x, self.weight, self.bias, *self._geometry)
        if shortcut is not None:
            out = out.add_(shortcut)
        return out.relu_() if self._relu else out


class FactoredConvolution(nn.Module):
    """The spatial convolution with its ReLU, then the temporal one, to which a shortcut may be added."""

    def __init__(self, spatial: Convolution, temporal: Convolution) -> None:
        super().__init__()
        self.spatial, self.temporal = spatial, temporal

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor | None = None) -> torch.Tensor:
        out: torch.Tensor = self.temporal(self.spatial(x), shortcut)
        return out


class Block(nn.Module):
    """A residual block."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.conv1 = _factored(block.conv1, block.bn1, relu=True)
        self.conv2 = _factored(block.conv2, block.bn2, relu=True)
        self.shortcut = _shortcut(block) if block.downsample else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x[:, ::2, ::2, ::2].contiguous())
        out: torch.Tensor = self.conv2(self.conv1(x), shortcut)
        return out


def _lower_layer(layer: nn.Module) -> nn.Module:
    assert isinstance(layer, ResidualLayer)
    blocks: list[Any] = [layer.block1, *layer.blocks]
    return nn.Sequential(*(Block(block) for block in blocks))


def _lower_stem(stem: Stem, scale: torch.Tensor, shift: torch.Tensor) -> FactoredConvolution:
    norm: Any = stem.outbn if stem.has_norm else None
    lowered = _factored(stem, norm, relu=stem.has_norm)
    lowered.spatial = Convolution(
        _in_cells(_normalizing(lowered.spatial.weight, scale, shift)),
        lowered.spatial.bias,
        stride=(2, 1),
        padding=(lowered.spatial.padding[0], 0),  # that of the columns is in the input
        relu=True,
    )
    return lowered


def _normalizing(weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Weights for colours from 0 to 255 and a constant 1, instead of normalized colours.

    Zero padding, where the constant is 0 as well, stays the padding of normalized colours.
    """
    shifts = (weight * shift.view(1, COLOURS, 1, 1)).sum(1, keepdim=True)
    return torch.cat((weight * scale.view(1, COLOURS, 1, 1), shifts), 1)


def _in_cells(weight: torch.Tensor) -> torch.Tensor:
    """Weights for cells of two pixels and a stride of one, instead of for pixels and a stride of two."""
    weight = functional.pad(weight, (1, 0))  # the frame begins between the stem's 1st and 2nd pair of columns
    out_channels, channels, height, width = weight.shape
    cells = weight.view(out_channels, channels, height, width // _CELL_PIXELS, _CELL_PIXELS)
    return cells.permute(0, 4, 1, 2, 3).reshape(out_channels, -1, height, width // _CELL_PIXELS)


def _shortcut(block: ResidualBlock) -> nn.Module:
    """For an input that is subsampled already: kernels of one element see nothing of what is between."""
    conv, norm = block.downsampleconv, block.downsamplebn
    if isinstance(conv, SpatioTemporalConv):
        return _factored(conv, norm, relu=False, subsampled=True)
    assert isinstance(conv, nn.Conv3d)
    weight, bias = _folded(conv, norm)
    return Convolution(weight.squeeze(2), bias, stride=(1, 1), padding=(0, 0), relu=False)


def _factored(
    conv: SpatioTemporalConv, norm: nn.BatchNorm3d | None, *, relu: bool, subsampled: bool = False
) -> FactoredConvolution:
    """Both convolutions with the batch norms after them folded in."""
    spatial, temporal = conv.spatial_conv, conv.temporal_conv
    padding = tuple(kernel // 2 for kernel in (temporal.kernel_size[0], *spatial.kernel_size[1:]))
    weight, bias = _folded(spatial, conv.bn)
    last_weight, last_bias = _folded(temporal, norm)
    num_spare = -len(weight) % CHANNEL_MULTIPLE
    if not relu and num_spare == 0:
        num_spare = CHANNEL_MULTIPLE
    weight, bias = functional.pad(weight, (0,) * 9 + (num_spare,)), functional.pad(bias, (0, num_spare))
    last_weight = functional.pad(last_weight, (0,) * 7 + (num_spare,))
    if not relu:
        # cuDNN fuses a bias only with a ReLU; so a channel that is always 1 takes the bias as its weight.
        bias[-1] = 1
        last_weight[:, -1, padding[0]] = last_bias.view(-1, 1, 1)
    strides = (1, 1, 1) if subsampled else (temporal.stride[0], *spatial.stride[1:])
    return FactoredConvolution(
        Convolution(weight.squeeze(2), bias, stride=strides[1:], padding=padding[1:], relu=True),
        Convolution(
            last_weight.squeeze(4),
            last_bias if relu else None,
            stride=(strides[0], 1),
            padding=(padding[0], 0),
            relu=relu,
            temporal=True,
        ),
    )


def _folded(conv: nn.Conv3d, norm: nn.BatchNorm3d | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the convolution and the batch norm of inference after it, as one convolution."""
    bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
    if norm is None:
        return conv.weight, bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return conv.weight * gain.view(-1, 1, 1, 1, 1), (bias - norm.running_mean) * gain + norm.bias
