"""Single frames of a file, by a loader as users have it, and by decoding all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nvvl import RnBLoader, Sampler, VideoError
from nvvl.pyav_backend import PictureScaler
from nvvl.window import Window
from tests.support.numbered_videos import HEIGHT, WIDTH, sequential

Picture = npt.NDArray[np.uint8]


class Given(Sampler):
    """Clips where one says."""

    def __init__(self) -> None:
        self.starts: Sequence[int] = ()

    def sample(self, length: int) -> Sequence[int]:
        return [start for start in self.starts if start < length]


class SingleFrames:
    """Decodes single frames, RGB of uint8 (3, HEIGHT, WIDTH)."""

    def __init__(self, *, backend: str = "pyav", device_id: int = -1, **options: Any) -> None:
        self._sampler = Given()
        self.loader = RnBLoader(WIDTH, HEIGHT, 1, device_id, self._sampler, backend=backend, **options)

    def of(self, path: Path, wanted: Sequence[int]) -> list[Picture]:
        """Raises VideoError."""
        self._sampler.starts = wanted
        out = torch.empty(len(wanted), 3, 1, HEIGHT, WIDTH, dtype=torch.uint8, device=self.loader.device)
        count = self.loader.decode_into(path, out)
        return [picture[:, 0].cpu().numpy() for picture in out[:count]]

    def outcome(self, path: Path, wanted: Sequence[int]) -> list[bytes] | str:
        """The frames' bytes, or the reason why there are none."""
        try:
            return [picture.tobytes() for picture in self.of(path, wanted)]
        except VideoError as error:
            return error.reason


def expected(path: Path) -> list[Picture]:
    """Every frame of a file that can be decoded, one after the other, as `SingleFrames` gives it."""
    return [rgb(frame) for frame in sequential(path)]


def rgb(frame: Any) -> Picture:
    return (PictureScaler(Window.centred(WIDTH, HEIGHT)).convert(frame, "a file") + 0.5).astype(np.uint8)
