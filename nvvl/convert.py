"""Scaling and colour: the arithmetic that every backend follows, so that the CPU and a GPU give the same
picture.

A stored picture has a luma plane and two chroma planes, often smaller. For each output pixel:

1. *Orientation.* The display matrix says which stored position it shows (`nvvl.picture.Orientation`).
2. *Scaling.* Each plane is sampled on its own, straight to the scaled size: bilinear between the four nearest
   codes, pixel centres at half coordinates (source = (scaled + 0.5) * source size / scaled size - 0.5), edges
   repeated, no low-pass filter before shrinking, and chroma samples centred on the luma samples that they
   cover. That is what a texture fetch with normalised coordinates gives, hence what NVVL gives. Only what
   lies in the window (`nvvl.window.Window`) goes on.
3. *Colour.* RGB = matrix * (Y, Cb, Cr) + offset, from the matrix and range that the stream declares (ITU-T
   H.273, 8.3), scaled to 0..255 and clipped. float32 output keeps the fraction; uint8 output is rounded to
   nearest.

The CPU rounds to whole codes between steps 2 and 3, as OpenCV's resize does; a GPU does not. With content
like Kinetics' the results differ by less than one level for nearly every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nvvl.picture import Color, Orientation
from nvvl.window import Window


@dataclass(frozen=True)
class Coefficients:
    """RGB in 0..255 = `matrix` (row-major 3x3) * (Y, Cb, Cr) codes + `offset`."""

    matrix: tuple[float, float, float, float, float, float, float, float, float]
    offset: tuple[float, float, float]


def coefficients(color: Color, bit_depth: int, code_scale: float = 1.0) -> Coefficients:
    """The coefficients for codes of `bit_depth` bits, each stored as `code_scale` times its value."""
    code_max = 2**bit_depth - 1
    step = 2 ** (bit_depth - 8)
    luma_gain = 255 / code_max if color.full_range else 255 / (219 * step)
    chroma_gain = 255 / code_max if color.full_range else 255 / (224 * step)
    black = 0 if color.full_range else 16 * step
    neutral = 128 * step
    kg = 1 - color.kr - color.kb
    red_cr = 2 * (1 - color.kr) * chroma_gain
    blue_cb = 2 * (1 - color.kb) * chroma_gain
    green_cb, green_cr = -blue_cb * color.kb / kg, -red_cr * color.kr / kg
    rows = ((0.0, red_cr), (green_cb, green_cr), (blue_cb, 0.0))
    offset = tuple(-luma_gain * black - (cb + cr) * neutral for cb, cr in rows)
    matrix = tuple(gain / code_scale for cb, cr in rows for gain in (luma_gain, cb, cr))
    return Coefficients(matrix, offset)  # type: ignore[arg-type]  # tuple() forgets lengths.


@dataclass(frozen=True)
class Surfaces:
    """Decoded 4:2:0 pictures as video engines write them: luma rows, then rows of interleaved chroma.

    `data` is (count, rows, pitch), uint8 (NV12) or uint16 (P016, whose codes stand in the high bits). The
    luma plane is `height` rows of `width` codes; the chroma plane starts at row `chroma_row` and is half as
    high and wide, rounded up.
    """

    data: Tensor
    width: int
    height: int
    chroma_row: int

    @property
    def luma(self) -> Tensor:
        """(count, height, width)"""
        return self.data[:, : self.height, : self.width]

    @property
    def chroma(self) -> Tensor:
        """(count, chroma height, chroma width, 2)"""
        rows, columns = (self.height + 1) // 2, (self.width + 1) // 2
        plane = self.data[:, self.chroma_row : self.chroma_row + rows, : 2 * columns]
        return plane.view(len(plane), rows, columns, 2)


def convert(
    surfaces: Surfaces, out: Tensor, coeffs: Coefficients, orientation: Orientation, window: Window
) -> None:
    """Scale, crop and colour-convert surfaces into `out`, with PyTorch's operators alone.

    Args:
        out: (clips, 3, frames, height, width), uint8 or float32, with any strides. The surfaces are the
            frames of the first clip, then those of the second, and so on.
        window: as the picture is shown; its size is that of `out`.
    """
    clips, _, frames, height, width = out.shape
    stored = window.stored(orientation)
    luma = _scaled(surfaces.luma.float().unsqueeze(1), stored)
    planes = torch.cat((luma, _scaled(surfaces.chroma.permute(0, 3, 1, 2).float(), stored)), dim=1)
    matrix = torch.tensor(coeffs.matrix, device=out.device).view(3, 3)
    offset = torch.tensor(coeffs.offset, device=out.device).view(1, 3, 1, 1)
    rgb = (torch.einsum("rc,nchw->nrhw", matrix, planes) + offset).clamp_(0, 255)
    out.copy_(
        rounded(turned(rgb, orientation), out.dtype).view(clips, frames, 3, height, width).transpose(1, 2)
    )


def _scaled(planes: Tensor, window: Window) -> Tensor:
    size = (window.scaled_height, window.scaled_width)
    scaled = interpolate(planes, size=size, mode="bilinear", align_corners=False)
    return scaled[..., window.rows, window.columns]


def turned(picture: Tensor, orientation: Orientation) -> Tensor:
    """The displayed picture of a stored one; the last two dimensions are its rows and columns."""
    axes = [axis for axis, flip in ((-1, orientation.flip_x), (-2, orientation.flip_y)) if flip]
    picture = picture.flip(axes) if axes else picture
    return picture.transpose(-1, -2) if orientation.transposed else picture


def rounded(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in 0..255 as `dtype`: to the nearest for uint8, unchanged for a floating type."""
    return values if dtype.is_floating_point else values.add(0.5).floor_().to(dtype)
