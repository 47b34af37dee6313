"""Every so many frames of a video in its own size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.faces.video_file import MOST_SIZES, FrameReader
from nvvl import VideoError
from nvvl.size import shown_size
from tests.support.videos import write_video

CPU = torch.device("cpu")


def reader(frame_step: int = 1, max_frames: int = 50) -> FrameReader:
    return FrameReader(CPU, "auto", frame_step=frame_step, max_frames=max_frames)


def read(frames: FrameReader, video: Path, most: int = 50) -> tuple[tuple[int, ...], torch.Tensor]:
    width, height = shown_size(video)
    out = torch.zeros((most, height, width, 3), dtype=torch.uint8)
    numbers = frames.read(str(video), out)
    return numbers, out[: len(numbers)]


def test_every_third_frame(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", num_frames=20)
    numbers, every = read(reader(), video)
    thirds, some = read(reader(3), video)
    assert numbers == tuple(range(20))
    assert thirds == (0, 3, 6, 9, 12, 15, 18)
    assert torch.equal(some, every[::3])
    assert every.float().std() > 5


def test_frames_beyond_the_most_are_told(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", num_frames=20)
    frames = reader(3, max_frames=4)
    assert read(frames, video, 4)[0] == (0, 3, 6, 9)
    assert list(frames.notes) == ["3 frames beyond max_frames left out"]
    assert read(frames, write_video(tmp_path / "b.mp4", num_frames=9), 4)[0] == (0, 3, 6)
    assert not frames.notes


def test_parts_are_the_whole_one_after_the_other(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", num_frames=20)
    numbers, whole = read(reader(3), video)
    frames, out = reader(3, max_frames=4), torch.zeros((4, *whole.shape[1:]), dtype=torch.uint8)
    parts = []
    for part in range(3):
        found = frames.read(str(video), out, part=part)
        parts.append((found, out[: len(found)].clone()))
    assert [found for found, _ in parts] == [numbers[:4], numbers[4:], ()]
    assert torch.equal(torch.cat([pictures for _, pictures in parts]), whole)
    assert not frames.notes


def test_loaders_are_kept_for_the_last_sizes(tmp_path: Path) -> None:
    frames = reader(max_frames=2)
    assert frames.decoder == "auto"
    videos = [
        write_video(tmp_path / f"{number}.mp4", num_frames=9, width=32 + 16 * number)
        for number in range(MOST_SIZES + 2)
    ]
    for video in (*videos, videos[-1]):
        assert read(frames, video, 2)[1].float().std() > 5
    assert len(frames._loaders) == MOST_SIZES
    assert frames.decoder == "pyav"
    frames.close()
    assert not frames._loaders


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"a\.mp4"):
        reader().read(str(tmp_path / "a.mp4"), torch.zeros((1, 8, 8, 3), dtype=torch.uint8))
