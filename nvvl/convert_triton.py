"""The arithmetic of `nvvl.convert` as one GPU kernel: surfaces in, finished clips out."""

# Triton's decorator has no types, and a kernel's parameters are not Python values.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import threading
from contextlib import nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

from nvvl.convert import Coefficients, Surfaces
from nvvl.picture import Orientation
from nvvl.window import Window

PIXELS_PER_PROGRAM = 512

_COMPILING = threading.Lock()
_COMPILED = set[tuple[object, ...]]()
"""Threads that call the kernel for the first time at once would all compile it, or fetch it from the disk."""


def convert(
    surfaces: Surfaces, out: Tensor, coeffs: Coefficients, orientation: Orientation, window: Window
) -> None:
    """As `nvvl.convert.convert`, on the current CUDA stream, without any memory of its own."""
    kind = (surfaces.data.dtype, out.dtype, out.device, orientation)
    with nullcontext() if kind in _COMPILED else _COMPILING:
        _launch(surfaces, out, coeffs, orientation, window)
    _COMPILED.add(kind)


def _launch(
    surfaces: Surfaces, out: Tensor, coeffs: Coefficients, orientation: Orientation, window: Window
) -> None:
    clips, _, frames, height, width = out.shape
    stored = window.stored(orientation)
    grid = (clips * frames, triton.cdiv(height * width, PIXELS_PER_PROGRAM))
    _convert[grid](
        surfaces.data,
        out,
        *surfaces.data.stride()[:2],
        surfaces.chroma_row,
        surfaces.width,
        surfaces.height,
        surfaces.width / stored.scaled_width,
        surfaces.height / stored.scaled_height,
        stored.left,
        stored.top,
        stored.width,
        stored.height,
        frames,
        width,
        height * width,
        *out.stride(),
        *coeffs.matrix,
        *coeffs.offset,
        TRANSPOSED=orientation.transposed,
        FLIP_X=orientation.flip_x,
        FLIP_Y=orientation.flip_y,
        ROUNDED=out.dtype == torch.uint8,
        PIXELS=PIXELS_PER_PROGRAM,
    )


@triton.jit
def _position(place, scale, size):
    """The two neighbouring codes of an output position, and the weight of the second."""
    exact = (place + 0.5) * scale - 0.5
    below = tl.floor(exact)
    first = below.to(tl.int32)
    return tl.maximum(first, 0), tl.minimum(first + 1, size - 1), exact - below


@triton.jit
def _sample(base, x0, x1, weight_x, y0, y1, weight_y, row_stride, step: tl.constexpr, mask):
    """Bilinear sample of a plane whose neighbouring codes are `step` apart."""
    top = base + y0 * row_stride
    bottom = base + y1 * row_stride
    top_left = tl.load(top + x0 * step, mask=mask, other=0).to(tl.float32)
    top_right = tl.load(top + x1 * step, mask=mask, other=0).to(tl.float32)
    bottom_left = tl.load(bottom + x0 * step, mask=mask, other=0).to(tl.float32)
    bottom_right = tl.load(bottom + x1 * step, mask=mask, other=0).to(tl.float32)
    upper = top_left + (top_right - top_left) * weight_x
    lower = bottom_left + (bottom_right - bottom_left) * weight_x
    return upper + (lower - upper) * weight_y


@triton.jit
def _store(address, value, mask, ROUNDED: tl.constexpr):
    value = tl.minimum(tl.maximum(value, 0.0), 255.0)
    if ROUNDED:
        tl.store(address, tl.floor(value + 0.5).to(tl.uint8), mask=mask)
    else:
        tl.store(address, value, mask=mask)


@triton.jit
def _convert(
    data,
    out,
    surface_stride,
    row_stride,
    chroma_row,
    surface_width,
    surface_height,
    scale_x,
    scale_y,
    stored_left,
    stored_top,
    stored_width,
    stored_height,
    num_frames,
    width,
    num_pixels,
    out_clip,
    out_channel,
    out_frame,
    out_row,
    out_column,
    red_y,
    red_cb,
    red_cr,
    green_y,
    green_cb,
    green_cr,
    blue_y,
    blue_cb,
    blue_cr,
    red_offset,
    green_offset,
    blue_offset,
    TRANSPOSED: tl.constexpr,
    FLIP_X: tl.constexpr,
    FLIP_Y: tl.constexpr,
    ROUNDED: tl.constexpr,
    PIXELS: tl.constexpr,
):
    number = tl.program_id(0)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    mask = pixel < num_pixels
    column = pixel % width
    row = pixel // width

    # The stored position that this pixel shows, in pixels of the scaled picture.
    x = row if TRANSPOSED else column
    y = column if TRANSPOSED else row
    if FLIP_X:
        x = stored_width - 1 - x
    if FLIP_Y:
        y = stored_height - 1 - y
    x += stored_left
    y += stored_top

    chroma_width = (surface_width + 1) // 2
    chroma_height = (surface_height + 1) // 2
    surface = data + number.to(tl.int64) * surface_stride
    x0, x1, weight_x = _position(x, scale_x, surface_width)
    y0, y1, weight_y = _position(y, scale_y, surface_height)
    luma = _sample(surface, x0, x1, weight_x, y0, y1, weight_y, row_stride, 1, mask)

    x0, x1, weight_x = _position(x, scale_x * chroma_width / surface_width, chroma_width)
    y0, y1, weight_y = _position(y, scale_y * chroma_height / surface_height, chroma_height)
    chroma = surface + chroma_row * row_stride
    cb = _sample(chroma, x0, x1, weight_x, y0, y1, weight_y, row_stride, 2, mask)
    cr = _sample(chroma + 1, x0, x1, weight_x, y0, y1, weight_y, row_stride, 2, mask)

    clip = (number // num_frames).to(tl.int64)
    frame = (number % num_frames).to(tl.int64)
    address = out + clip * out_clip + frame * out_frame + row * out_row + column * out_column
    _store(address, red_y * luma + red_cb * cb + red_cr * cr + red_offset, mask, ROUNDED)
    green = green_y * luma + green_cb * cb + green_cr * cr + green_offset
    _store(address + out_channel, green, mask, ROUNDED)
    blue = blue_y * luma + blue_cb * cb + blue_cr * cr + blue_offset
    _store(address + 2 * out_channel, blue, mask, ROUNDED)
