"""What decides which clips of a video are decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class Sampler(ABC):
    """Base class of samplers; a subclass says where the clips of a video start."""

    @abstractmethod
    def sample(self, length: int) -> Sequence[int] | None:
        """The first frame of each clip of a video of `length` frames, in the order of the output.

        Each clip is the loader's `consecutive_frames` frames from there on, so a start may be at most
        `length - consecutive_frames`. An empty answer, or None, says that the video is too short.
        """


class AllSampler(Sampler):
    """A clip from each frame on, for clips of one frame."""

    def sample(self, length: int) -> Sequence[int]:
        return range(length)
