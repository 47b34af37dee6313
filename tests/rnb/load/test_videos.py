"""Finding videos."""

import itertools
from pathlib import Path

import pytest

from rnb.load.videos import VideoPathIterator


def test_labels_and_flat_files_are_found_sorted_and_repeated(tmp_path: Path) -> None:
    for name in ("b/two.mp4", "a/one.MP4", "zero.webm", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    expected = [str(tmp_path / name) for name in ("a/one.MP4", "b/two.mp4", "zero.webm")]
    assert list(itertools.islice(VideoPathIterator(str(tmp_path)), 6)) == expected * 2


def test_no_folder_and_no_video_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a folder of videos; 'make data'"):
        VideoPathIterator(str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="no video in it"):
        VideoPathIterator(str(tmp_path))
