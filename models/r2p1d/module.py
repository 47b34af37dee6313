"""The factored (2+1)D convolution: a 2D one over space, then a 1D one over time.

Source: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018,
section 3.5.
"""

import torch
from torch import nn

Triple = tuple[int, int, int]


def num_mid_channels(in_channels: int, out_channels: int, kernel_size: Triple) -> int:
    """Channels between the two convolutions that keep the parameter count of the full 3D convolution.

    The paper's M = ⌊t·d²·Nᵢ₋₁·Nᵢ / (d²·Nᵢ₋₁ + t·Nᵢ)⌋ for a kernel of t frames and d × d pixels.
    """
    num_frames, height, width = kernel_size
    full_3d = num_frames * height * width * in_channels * out_channels
    return full_3d // (height * width * in_channels + num_frames * out_channels)


class SpatioTemporalConv(nn.Module):
    """spatial_conv → bn → relu → temporal_conv, with the shapes of one `nn.Conv3d`.

    Takes (rows, in_channels, frames, height, width). Kernel, stride and padding are in the order (frames,
    height, width); padding of half the kernel makes a stride of 1 keep the size. What follows the temporal
    convolution (batch norm, ReLU) belongs to the caller, as it would for a 3D convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Triple,
        *,
        stride: Triple = (1, 1, 1),
        mid_channels: int | None = None,
        bias: bool = True,
    ) -> None:
        """`mid_channels` None takes the paper's `num_mid_channels`."""
        super().__init__()
        if mid_channels is None:
            mid_channels = num_mid_channels(in_channels, out_channels, kernel_size)
        (kernel_t, kernel_h, kernel_w), (stride_t, stride_h, stride_w) = kernel_size, stride
        self.spatial_conv = nn.Conv3d(
            in_channels,
            mid_channels,
            (1, kernel_h, kernel_w),
            stride=(1, stride_h, stride_w),
            padding=(0, kernel_h // 2, kernel_w // 2),
            bias=bias,
        )
        self.bn = nn.BatchNorm3d(mid_channels)
        self.relu = nn.ReLU(inplace=True)
        self.temporal_conv = nn.Conv3d(
            mid_channels,
            out_channels,
            (kernel_t, 1, 1),
            stride=(stride_t, 1, 1),
            padding=(kernel_t // 2, 0, 0),
            bias=bias,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mid: torch.Tensor = self.relu(self.bn(self.spatial_conv(x)))
        out: torch.Tensor = self.temporal_conv(mid)
        return out
