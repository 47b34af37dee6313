"""With torchvision's resize, crop and pace, a loader gives the frames that torchvision would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nvvl import RnBLoader, Sampler
from nvvl.convert import coefficients, convert
from nvvl.picture import UPRIGHT, Color
from nvvl.window import Window
from tests.nvvl.test_convert import nv12, smooth
from tests.support import odd_videos
from tests.support.torchvision_inputs import CROP, RESIZE, as_rgb, cropped, mean_difference
from tests.support.torchvision_module import torchvision_module

MOST_LEVELS = 2.0
LIKE_KINETICS = odd_videos.Recipe(width=340, height=256, options=odd_videos.B_FRAMES)


class FirstClip(Sampler):
    def sample(self, length: int) -> Sequence[int]:
        return [0]


def test_frames_of_a_file(tmp_path: Path) -> None:
    path = odd_videos.make(tmp_path, "video", LIKE_KINETICS)
    expected = cropped(as_rgb(odd_videos.sequential(path)[0:32:2]))
    with RnBLoader(*CROP, 16, None, FirstClip(), resize=RESIZE, frame_rate=15) as loader:
        loader.loadfile(path)
        (clip,) = next(loader)
    assert mean_difference(clip, expected) <= MOST_LEVELS
    with RnBLoader(*CROP, 16, None, FirstClip(), frame_rate=15) as loader:
        loader.loadfile(path)
        (squeezed,) = next(loader)
    assert mean_difference(squeezed, expected) > 10 * MOST_LEVELS


def test_each_pixel_of_grey_surfaces() -> None:
    """Without colour, which decoders convert in ways of their own, no pixel is off."""
    luma = smooth(np.random.default_rng(0), 256, 340)
    surfaces = nv12(luma, np.full((128, 170, 2), 128, np.uint8))
    out = torch.zeros((1, 3, 1, *CROP), dtype=torch.uint8)
    full_range = coefficients(Color(0.299, 0.114, full_range=True), 8)
    convert(surfaces, out, full_range, UPRIGHT, Window.centred(*CROP, RESIZE))
    expected = cropped(torch.from_numpy(luma).expand(1, 3, 256, 340))
    assert int((out[0, :, 0].int() - expected[0].int()).abs().max()) <= 1


def test_the_arithmetic_is_torchvisions() -> None:
    presets = torchvision_module("torchvision.transforms._presets")
    weights = torchvision_module("torchvision.models.video").R2Plus1D_18_Weights.KINETICS400_V1
    plain = presets.VideoClassification(
        crop_size=CROP, resize_size=RESIZE[::-1], mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    frames = torch.randint(0, 256, (4, 3, 256, 340), dtype=torch.uint8)
    assert torch.equal((plain(frames) * 255).round().to(torch.uint8), cropped(frames).transpose(0, 1))
    theirs = weights.transforms()
    assert (theirs.crop_size, theirs.resize_size) == ([*CROP], [*RESIZE[::-1]])
