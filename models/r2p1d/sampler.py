"""Which clips of a video the R(2+1)D network sees."""

import hashlib
import math
import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate

from nvvl import Sampler

DEFAULT_SEED = 0


class R2P1DSampler(Sampler):
    """Spreads clips over the whole video, as wide apart as possible, with the same gap between any two.

    The video is cut into windows of equal whole length, one a clip; all clips begin at the same place of
    their window, and that place is drawn from what is left over. So 3 clips of 7 frames in a video of 25:

        frame  0       8       16
               |-----| |-----| |-----|
                |-----| |-----| |-----|
                 |-----| |-----| |-----|

    A video too short for its clips gets as many as fit. The number of clips is drawn from
    `num_clips_population` with `num_clips_weights` (RnB's load: mostly 1, sometimes 15), and is `num_clips`
    where either is None.

    Source: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018,
    section 4.2, and RnB's own load.

    When `is_even`, the first clip is the video's start, the last its end, and the others are evenly between
    them, as torchvision's UniformClipSampler places them; in a short video they overlap.
    """

    def __init__(
        self,
        clip_length: int = 8,
        num_clips: int = 10,
        num_clips_population: Sequence[int] | None = (1, 15),
        num_clips_weights: Sequence[float] | None = (10, 1),
        *,
        is_even: bool = False,
    ) -> None:
        """`clip_length` is in frames. Raises ValueError for counts below 1 and weights that do not fit."""
        _check_positive("clip_length", clip_length)
        _check_positive("num_clips", num_clips)
        self.clip_length = clip_length
        if num_clips_population is None or num_clips_weights is None:
            num_clips_population, num_clips_weights = (num_clips,), (1,)
        _check_population(num_clips_population, num_clips_weights)
        self._population = tuple(num_clips_population)
        self._cumulative_weights = tuple(accumulate(num_clips_weights))
        self._is_even = is_even
        self._random = random.Random(DEFAULT_SEED)

    def seed(self, seed: int, request_id: int) -> None:
        """Make the next samples depend on these two numbers alone, in any process and version of Python."""
        digest = hashlib.blake2b(f"{seed}:{request_id}".encode(), digest_size=8).digest()
        self._random = random.Random(int.from_bytes(digest, "big"))

    def sample(self, length: int) -> list[int]:
        """First frame of each clip, in order, in a video of `length` frames.

        Raises ValueError if the video is shorter than one clip.
        """
        if length < self.clip_length:
            raise ValueError(
                f"video of {length} frames is too short; a clip takes {self.clip_length} consecutive frames"
            )
        num_clips = self.draw_num_clips()
        if self._is_even:
            return [clip * (length - self.clip_length) // max(1, num_clips - 1) for clip in range(num_clips)]
        num_clips = min(num_clips, length // self.clip_length)
        window = length // num_clips
        leniency = length - (num_clips - 1) * window - self.clip_length
        start = self._draw_below(leniency + 1)
        return [start + clip * window for clip in range(num_clips)]

    def draw_num_clips(self) -> int:
        """The first draw after `seed`: how many clips there are where the video is long enough."""
        threshold = self._random.random() * self._cumulative_weights[-1]
        return self._population[bisect(self._cumulative_weights, threshold)]

    def _draw_below(self, bound: int) -> int:
        # Python promises the same sequence in every version for random() alone, not for randrange().
        return int(self._random.random() * bound)


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")


def _check_population(population: Sequence[int], weights: Sequence[float]) -> None:
    if len(population) != len(weights) or not population:
        raise ValueError(
            f"num_clips_population {list(population)} and num_clips_weights {list(weights)} must have"
            " the same length, at least 1"
        )
    for num_clips in population:
        _check_positive("an entry of num_clips_population", num_clips)
    if min(weights) < 0 or not 0 < sum(weights) < math.inf:
        raise ValueError(
            f"num_clips_weights is {list(weights)}; none may be negative, one must be positive, and their sum"
            " finite"
        )
