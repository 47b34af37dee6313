"""Which frames of a video count: all of them, every so many, or so many a second."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from nvvl.clips import Clips
from nvvl.errors import VideoError

if TYPE_CHECKING:
    from nvvl.index import VideoIndex

MOST_FRAMES_PER_S = 1_000_000


@dataclass(frozen=True)
class Pace:
    """Every `frame_step`-th frame, or with `frame_rate` that many a second, of the rate that a file declares.

    A video with fewer frames a second than that repeats some.

    Raises:
        ValueError: one is not above 0, or both are given.
    """

    frame_step: int = 1
    frame_rate: float | None = None

    def __post_init__(self) -> None:
        if self.frame_step < 1:
            raise ValueError(f"frame_step: {self.frame_step}, must be at least 1")
        if self.frame_rate is None:
            return
        if not 0 < self.frame_rate <= MOST_FRAMES_PER_S:
            raise ValueError(
                f"frame_rate: {self.frame_rate}, must be a number above 0, at most {MOST_FRAMES_PER_S:,}"
            )
        if self.frame_step > 1:
            raise ValueError(f"frame_step: {self.frame_step}, does not go with frame_rate: {self.frame_rate}")

    def stride(self, index: VideoIndex) -> Fraction:
        """From one frame that counts to the next.

        Raises:
            VideoError: it follows from the file's rate, and the file declares none.
        """
        if self.frame_rate is None:
            return Fraction(self.frame_step)
        if not index.info.frame_rate:
            raise VideoError(index.filename, "declares no frame rate, which the option frame_rate needs")
        return index.info.frame_rate / Fraction(self.frame_rate)


def num_counting(num_frames: int, stride: Fraction) -> int:
    """How many of a video's frames count."""
    return math.ceil(num_frames / stride)


def clips_from(starts: list[int], length: int, stride: Fraction) -> Clips:
    """The frames of clips of `length`, whose starts count only the frames that count."""
    count, of = stride.numerator, stride.denominator  # whole numbers, which are quicker than fractions
    return [[(start + place) * count // of for place in range(length)] for start in starts]
