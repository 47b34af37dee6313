"""Which frames of a video count."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from nvvl import VideoError
from nvvl.indexing import index_of
from nvvl.pace import Pace, clips_from, num_counting
from nvvl.video_file import VideoFile


def test_every_so_many() -> None:
    assert clips_from([0, 3], 3, Fraction(2)) == [[0, 2, 4], [6, 8, 10]]
    assert [num_counting(num_frames, Fraction(2)) for num_frames in (1, 2, 3, 10)] == [1, 1, 2, 5]


def test_so_many_a_second_are_those_that_torchvision_takes() -> None:
    """Its VideoClips looks at frame floor(i * rate of the file / rate)."""
    stride = Fraction(30000, 1001) / 15
    (frames,) = clips_from([0], 150, stride)
    assert list(frames) == [int(number * (30000 / 1001) / 15) for number in range(150)]
    assert num_counting(300, stride) == 151
    assert frames[-1] < 300


def test_a_slow_video_repeats_frames() -> None:
    stride = Fraction(10, 15)
    (frames,) = clips_from([0], num_counting(4, stride), stride)
    assert list(frames) == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("step", "rate", "reason"),
    [
        (0, None, "frame_step: 0, must be at least 1"),
        (1, 0.0, "frame_rate: 0.0, must be a number above 0"),
        (1, float("nan"), "frame_rate: nan, must be"),
        (1, 1e308, r"frame_rate: 1e\+308, must be a number above 0, at most 1,000,000"),
        (2, 15.0, "frame_step: 2, does not go with frame_rate: 15.0"),
    ],
)
def test_what_cannot_be(step: int, rate: float | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Pace(step, rate)


def test_the_stride_follows_from_the_rate_of_the_file(odd_files: dict[str, Path]) -> None:
    with VideoFile(str(odd_files["b_frames"])) as file:
        index = index_of(file)
    assert index.info.frame_rate == 30
    assert Pace(frame_rate=12).stride(index) == Fraction(5, 2)
    assert Pace(frame_step=3).stride(index) == 3
    without = replace(index, info=replace(index.info, frame_rate=None))
    assert Pace().stride(without) == 1
    with pytest.raises(VideoError, match="declares no frame rate, which the option frame_rate needs"):
        Pace(frame_rate=12).stride(without)
