"""The size of a video's pictures as they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvvl import VideoError
from nvvl.size import shown_size
from tests.support import odd_videos


@pytest.mark.parametrize(
    ("rotation", "expected"), [(0, (64, 32)), (90, (32, 64)), (180, (64, 32)), (270, (32, 64))]
)
def test_a_turned_video_has_its_sides_changed(
    rotation: int, expected: tuple[int, int], tmp_path: Path
) -> None:
    recipe = odd_videos.Recipe(width=64, height=32, num_frames=3, rotation=rotation)
    assert shown_size(odd_videos.make(tmp_path, "video", recipe)) == expected


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    recipe = odd_videos.Recipe(width=64, height=32, num_frames=3, rotation=45)
    with pytest.raises(VideoError, match="is rotated by an angle"):
        shown_size(odd_videos.make(tmp_path, "video", recipe))
    with pytest.raises(VideoError, match="cannot be opened"):
        shown_size(tmp_path / "none.mp4")
