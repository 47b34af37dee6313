"""A video's frames as pictures, and what the requests of a sequence say."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.demo.video import frames_of, sequence_parameters
from tests.support.images import decoded
from tests.support.videos import write_video


def test_every_so_many_frames_are_pictures(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", num_frames=25).read_bytes()
    frames = list(frames_of(video, 10, 100))
    assert [decoded(frame).shape for frame in frames] == [(48, 64, 3)] * 3
    assert len(set(frames)) == 3
    assert list(frames_of(video, 10, 2)) == frames[:2]
    assert list(frames_of(video, 20, 9)) == frames[::2]


@pytest.mark.parametrize("data", [b"", b"no video"])
def test_what_is_no_video_is_said(data: bytes) -> None:
    with pytest.raises(ValueError, match="no video"):
        list(frames_of(data, 1, 1))


def test_a_sequence_starts_goes_on_and_ends() -> None:
    told = [sequence_parameters(7, number, 3) for number in range(3)]
    assert [one["sequence_start"] for one in told] == [True, False, False]
    assert [one["sequence_end"] for one in told] == [False, False, True]
    assert {one["sequence_id"] for one in told} == {7}
    assert [one["sequence_position"] for one in told] == [0, 1, 2]
    alone = {"sequence_id": 7, "sequence_start": True, "sequence_end": True, "sequence_position": 0}
    assert sequence_parameters(7, 0, 1) == alone
