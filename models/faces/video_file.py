"""Frames of a video file in its own size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch

from nvvl import RnBLoader, Sampler, VideoError

MOST_SIZES = 4
"""A loader is kept for each of the last sizes: on a GPU it holds decoders, which take long to make."""


class Part(Sampler):
    """So many frames from `first` on, as clips of one; `num_left_out` are those beyond, and `is_beyond` says
    that all were before."""

    def __init__(self, most: int) -> None:
        self._most, self.first, self.num_left_out, self.is_beyond = most, 0, 0, False

    def sample(self, length: int) -> Sequence[int]:
        end = min(length, self.first + self._most)
        self.num_left_out, self.is_beyond = length - end, 0 < length <= self.first
        return range(self.first, end)


class FrameReader:
    """Every `frame_step`-th frame of videos, decoded on a device. For use by one thread.

    `notes` are lines on the video that was read last: what is odd about it, but no reason to refuse it.
    """

    def __init__(self, device: torch.device, backend: str, *, frame_step: int, max_frames: int) -> None:
        self._device, self._backend, self._frame_step = device, backend, frame_step
        self._max_frames = max_frames
        self._sampler = Part(max_frames)
        self._loaders: OrderedDict[tuple[int, int], RnBLoader] = OrderedDict()
        self.notes: tuple[str, ...] = ()

    @property
    def decoder(self) -> str:
        """What decodes, once a video was read."""
        return next((loader.decoder for loader in self._loaders.values()), self._backend)

    def read(self, video: str, out: torch.Tensor, *, part: int | None = None) -> tuple[int, ...]:
        """Decode into pictures (most frames, height, width, 3), scaled to their size.

        Args:
            part: of a video that is read in parts of `max_frames` frames, which one; None: it is read once.

        Returns:
            The numbers of the frames, which are in the first pictures; none where the video has no such part.

        Raises:
            VideoError: the video cannot be used.
        """
        loader = self._loader(out.shape[2], out.shape[1])
        self._sampler.first = first = (part or 0) * self._max_frames
        self._sampler.is_beyond, self.notes = False, ()
        try:
            count = loader.decode_into(video, out.permute(0, 3, 1, 2).unsqueeze(2))
        except VideoError:
            if not self._sampler.is_beyond:
                raise
            return ()
        left_out = self._sampler.num_left_out if part is None else 0
        self.notes = loader.notes + ((f"{left_out} frames beyond max_frames left out",) if left_out else ())
        return tuple(range(first * self._frame_step, (first + count) * self._frame_step, self._frame_step))

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
