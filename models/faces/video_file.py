"""Frames of a video file in its own size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch

from nvvl import RnBLoader, Sampler

MOST_SIZES = 4
"""A loader is kept for each of the last sizes: on a GPU it holds decoders, which take long to make."""


class FirstFrames(Sampler):
    """The first so many frames, as clips of one; `num_left_out` are those beyond."""

    def __init__(self, most: int) -> None:
        self._most, self.num_left_out = most, 0

    def sample(self, length: int) -> Sequence[int]:
        self.num_left_out = max(0, length - self._most)
        return range(min(length, self._most))


class FrameReader:
    """Every `frame_step`-th frame of videos, decoded on a device. For use by one thread.

    `notes` are lines on the video that was read last: what is odd about it, but no reason to refuse it.
    """

    def __init__(self, device: torch.device, backend: str, *, frame_step: int, max_frames: int) -> None:
        self._device, self._backend, self._frame_step = device, backend, frame_step
        self._sampler = FirstFrames(max_frames)
        self._loaders: OrderedDict[tuple[int, int], RnBLoader] = OrderedDict()
        self.notes: tuple[str, ...] = ()

    @property
    def decoder(self) -> str:
        """What decodes, once a video was read."""
        return next((loader.decoder for loader in self._loaders.values()), self._backend)

    def read(self, video: str, out: torch.Tensor) -> tuple[int, ...]:
        """Decode into pictures (most frames, height, width, 3), scaled to their size.

        Returns:
            The numbers of the frames, which are in the first pictures.

        Raises:
            VideoError: the video cannot be used.
        """
        loader = self._loader(out.shape[2], out.shape[1])
        count = loader.decode_into(video, out.permute(0, 3, 1, 2).unsqueeze(2))
        left_out = self._sampler.num_left_out
        self.notes = loader.notes + ((f"{left_out} frames beyond max_frames left out",) if left_out else ())
        return tuple(range(0, count * self._frame_step, self._frame_step))

    def close(self) -> None:
        """Give back the decoders."""
        while self._loaders:
            self._loaders.popitem()[1].close()

    def _loader(self, width: int, height: int) -> RnBLoader:
        loader = self._loaders.pop((width, height), None)
        if loader is None:
            if len(self._loaders) == MOST_SIZES:
                self._loaders.popitem(last=False)[1].close()
            loader = RnBLoader(
                width=width,
                height=height,
                consecutive_frames=1,
                device_id=self._device.index if self._device.type == "cuda" else -1,
                sampler=self._sampler,
                backend=self._backend,
                frame_step=self._frame_step,
            )
        self._loaders[width, height] = loader
        return loader
