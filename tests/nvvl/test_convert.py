"""The arithmetic of scaling and colour, against hand-computed values and against FFmpeg's own scaler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from nvvl.convert import Surfaces, coefficients, convert, rounded, turned
from nvvl.picture import UPRIGHT, Color, Orientation
from nvvl.pyav_backend import PictureScaler
from nvvl.window import Window
from tests.support import odd_videos

BT601 = Color(0.299, 0.114, full_range=False)
BT709 = Color(0.2126, 0.0722, full_range=False)
BT601_FULL = Color(0.299, 0.114, full_range=True)


def psnr_db(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def to_rgb(
    color: Color, codes: tuple[int, int, int], bit_depth: int = 8, code_scale: float = 1.0
) -> list[float]:
    coeffs = coefficients(color, bit_depth, code_scale)
    matrix = np.array(coeffs.matrix).reshape(3, 3)
    return [float(value) for value in matrix @ np.array(codes) * 1.0 + np.array(coeffs.offset)]


# Codes of pure colours, as the standards have them: BT.601 and BT.709, 8 and 10 bits, both ranges.
@pytest.mark.parametrize(
    ("color", "bit_depth", "codes", "rgb"),
    [
        (BT601, 8, (16, 128, 128), (0, 0, 0)),
        (BT601, 8, (235, 128, 128), (255, 255, 255)),
        (BT601, 8, (81, 90, 240), (255, 0, 0)),
        (BT601, 8, (145, 54, 34), (0, 255, 0)),
        (BT601, 8, (41, 240, 110), (0, 0, 255)),
        (BT709, 8, (63, 102, 240), (255, 0, 0)),
        (BT709, 8, (173, 42, 26), (0, 255, 0)),
        (BT709, 8, (32, 240, 118), (0, 0, 255)),
        (BT709, 10, (940, 512, 512), (255, 255, 255)),
        (BT709, 10, (250, 409, 960), (255, 0, 0)),
        (BT601_FULL, 8, (76, 85, 255), (255, 0, 0)),
        (BT601_FULL, 8, (255, 128, 128), (255, 255, 255)),
        (BT601_FULL, 10, (1023, 512, 512), (255, 255, 255)),
    ],
)
def test_pure_colours(
    color: Color, bit_depth: int, codes: tuple[int, int, int], rgb: tuple[int, int, int]
) -> None:
    assert to_rgb(color, codes, bit_depth) == pytest.approx(rgb, abs=1.6)


def test_codes_in_the_high_bits() -> None:
    shifted = (250 << 6, 409 << 6, 960 << 6)
    assert to_rgb(BT709, shifted, 10, code_scale=64) == pytest.approx(to_rgb(BT709, (250, 409, 960), 10))


@pytest.mark.parametrize(
    "name", ["bt601_limited", "bt709_limited", "bt709_full", "bt2020", "hevc_10bit", "yuv422", "yuv444"]
)
def test_unscaled_frames_match_swscale(odd_files: dict[str, Path], name: str) -> None:
    """FFmpeg's scaler differs in rounding and in where it takes chroma to lie, but by no matrix or range."""
    frame = odd_videos.sequential(odd_files[name])[7]
    ours = PictureScaler(Window.centred(frame.width, frame.height)).convert(frame, name)
    theirs = frame.to_ndarray(format="rgb24", interpolation="BILINEAR").transpose(2, 0, 1)
    assert psnr_db(ours, theirs) > 32
    frame.colorspace = 6 if frame.colorspace in (1, 9) else 1
    assert psnr_db(PictureScaler(Window.centred(frame.width, frame.height)).convert(frame, name), theirs) < 30


def test_undeclared_colours_are_bt601_below_720_lines_and_bt709_from_there_on() -> None:
    frame = av.VideoFrame(64, 718, "yuv420p")
    assert Color.of(frame) == BT601
    assert Color.of(av.VideoFrame(64, 720, "yuv420p")) == BT709
    assert Color.of(av.VideoFrame(64, 64, "yuvj420p")) == BT601_FULL


def test_scaling_samples_between_pixel_centres() -> None:
    frame = flat_chroma_frame(np.array([[16, 235], [235, 16]], np.uint8).repeat(1, axis=0))
    picture = PictureScaler(Window.centred(4, 4)).convert(frame, "")[0]
    light = 255.0
    edge, inner = (
        [0, light / 4, light * 3 / 4, light],
        [light / 4, light * 0.375, light * 0.625, light * 3 / 4],
    )
    np.testing.assert_allclose(picture[0], edge, atol=1.5)
    np.testing.assert_allclose(picture[1], inner, atol=1.5)


def test_shrinking_does_not_average() -> None:
    """At a quarter of the size, a bilinear sample lies between two of the four columns, and sees no other."""
    columns = np.tile(np.array([235, 16, 16, 235], np.uint8), (8, 2))
    picture = PictureScaler(Window.centred(2, 2)).convert(flat_chroma_frame(columns), "")[0]
    np.testing.assert_allclose(picture, 0, atol=0.5)


def test_gray_and_rgb_frames(odd_files: dict[str, Path]) -> None:
    rgb = PictureScaler(Window.centred(odd_videos.WIDTH, odd_videos.HEIGHT)).convert(
        odd_videos.sequential(odd_files["rgb"])[3], ""
    )
    np.testing.assert_array_equal(rgb, odd_videos.scene(3).transpose(2, 0, 1))
    gray = PictureScaler(Window.centred(16, 16)).convert(odd_videos.sequential(odd_files["gray"])[3], "")
    np.testing.assert_allclose(gray[0], gray[1], atol=1e-3)
    np.testing.assert_allclose(gray[0], gray[2], atol=1e-3)


@pytest.mark.parametrize("name", ["rotated_90", "rotated_180", "rotated_270", "mirrored"])
def test_turned_files_show_what_their_metadata_says(odd_files: dict[str, Path], name: str) -> None:
    frame = odd_videos.sequential(odd_files[name])[5]
    plain = odd_videos.sequential(odd_files["b_frames"])[5]
    stored = PictureScaler(Window.centred(odd_videos.WIDTH, odd_videos.HEIGHT)).convert(plain, "")
    quarters = {"rotated_90": 1, "rotated_180": 2, "rotated_270": 3, "mirrored": 0}[name]
    expected = np.rot90(stored, quarters, (1, 2)) if quarters else stored[:, :, ::-1]
    shown = PictureScaler(Window.centred(expected.shape[2], expected.shape[1])).convert(frame, "")
    np.testing.assert_allclose(shown, expected, atol=1e-3)


@pytest.mark.parametrize("resize", [None, (33, 27)])
@pytest.mark.parametrize("color", [BT601, BT709, BT601_FULL])
@pytest.mark.parametrize(
    "flags", [(False, False, False), (True, True, False), (False, True, True), (True, False, True)]
)
def test_surfaces_agree_with_frames(
    color: Color, flags: tuple[bool, bool, bool], resize: tuple[int, int] | None
) -> None:
    """What a GPU is given (NV12, in PyTorch) comes out as what the CPU makes of the same planes."""
    rng = np.random.default_rng(0)
    luma = smooth(rng, 48, 64)
    chroma = np.stack([smooth(rng, 24, 32), smooth(rng, 24, 32)], axis=-1)
    out = torch.zeros((1, 3, 1, 20, 28))
    window = Window.centred(28, 20, resize)
    convert(nv12(luma, chroma), out, coefficients(color, 8), Orientation(*flags), window)

    frame = av.VideoFrame(64, 48, "yuv420p")
    for plane, values in zip(frame.planes, (luma, chroma[..., 0], chroma[..., 1]), strict=True):
        fill(plane, values)
    frame.colorspace = 1 if color.kr < 0.25 else 6
    frame.color_range = 2 if color.full_range else 1
    stored = PictureScaler(window.stored(Orientation(*flags))).convert(frame, "")
    expected = turned(torch.from_numpy(stored), Orientation(*flags))
    assert float((out[0, :, 0] - expected).abs().max()) < 3
    assert float((out[0, :, 0] - expected).abs().mean()) < 0.6


def test_surfaces_land_clip_by_clip_in_strided_output() -> None:
    levels = torch.tensor([16, 60, 100, 140, 180, 235], dtype=torch.uint8)
    data = torch.full((6, 12, 16), 128, dtype=torch.uint8)
    data[:, :8] = levels[:, None, None]
    frames_first = torch.zeros((2, 3, 3, 4, 4), dtype=torch.uint8)
    out = frames_first.transpose(1, 2)
    convert(Surfaces(data, 16, 8, 8), out, coefficients(BT601, 8), UPRIGHT, Window.centred(4, 4))
    expected = [round((int(level) - 16) * 255 / 219) for level in levels]
    assert frames_first.flatten(0, 1)[:, 0, 0, 0].tolist() == expected


def test_rounding() -> None:
    values = torch.tensor([0.0, 0.49, 0.51, 254.4, 254.6, 255.0])
    assert rounded(values, torch.uint8).tolist() == [0, 0, 1, 254, 255, 255]
    assert rounded(values, torch.float32) is values


def smooth(rng: np.random.Generator, height: int, width: int) -> Any:
    waves = np.cumsum(np.cumsum(rng.normal(size=(height, width)), axis=0), axis=1)
    return (40 + 170 * (waves - waves.min()) / (waves.max() - waves.min())).astype(np.uint8)


def nv12(luma: Any, chroma: Any) -> Surfaces:
    height, width = luma.shape
    data = np.concatenate([luma, chroma.reshape(height // 2, width)])
    return Surfaces(torch.from_numpy(data).unsqueeze(0), width, height, chroma_row=height)


def flat_chroma_frame(luma: Any) -> av.VideoFrame:
    height, width = luma.shape
    frame = av.VideoFrame(width, height, "yuv420p")
    grey = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    for plane, values in zip(frame.planes, (luma, grey, grey), strict=True):
        fill(plane, values)
    return frame


def fill(plane: Any, values: Any) -> None:
    padded = np.zeros((plane.height, plane.line_size), np.uint8)
    padded[:, : plane.width] = values
    plane.update(padded.tobytes())
