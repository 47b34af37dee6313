"""A name that brings its index along spares the loader making one, and is never believed of another file."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from nvvl import RnBLoader, Sampler, indexing
from nvvl.errors import VideoError
from nvvl.indexed_file import IndexedFile
from nvvl.indexing import forget_indexes
from tests.support.videos import write_video


class Last(Sampler):
    """The clip of two frames with which a video ends."""

    def sample(self, length: int) -> list[int]:
        return [length - 2]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    forget_indexes()
    return write_video(tmp_path / "a.mp4", num_frames=12)


def handed_on(path: Path) -> IndexedFile:
    """As another process gets it."""
    received: IndexedFile = pickle.loads(pickle.dumps(IndexedFile.of(path)))
    forget_indexes()
    return received


def clip_of(name: str | Path) -> torch.Tensor:
    out = torch.zeros(1, 3, 2, 16, 16, dtype=torch.uint8)
    with RnBLoader(16, 16, 2, -1, Last()) as loader:
        assert loader.decode_into(name, out) == 1
    return out


def test_it_is_the_name(video: Path) -> None:
    assert handed_on(video) == str(video)
    assert f"{handed_on(video)}" == str(video)


@pytest.mark.parametrize("num_frames", [1, 12, 300, 2000])
@pytest.mark.parametrize("name", ["a", "longer " * 30])
def test_its_size_is_bounded(tmp_path: Path, num_frames: int, name: str) -> None:
    path = write_video(tmp_path / f"{name}.mp4", num_frames=num_frames, width=16, height=16)
    named = IndexedFile.of(path)
    num_bytes = len(pickle.dumps(named, pickle.HIGHEST_PROTOCOL))
    assert num_bytes <= named.num_bytes <= 5100 + 45 * num_frames


def test_the_loader_makes_no_index_of_its_own(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, name = clip_of(video), handed_on(video)
    monkeypatch.setattr(indexing, "_made", lambda file, decode_all: pytest.fail("it is read off the file"))
    assert torch.equal(clip_of(name), expected)


def test_of_a_file_that_has_changed_it_does(video: Path) -> None:
    name = handed_on(video)
    write_video(video, num_frames=20, seed=1)
    expected = clip_of(video)
    forget_indexes()
    assert torch.equal(clip_of(name), expected)


def test_one_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="cannot be opened: No such file"):
        IndexedFile.of(tmp_path / "none.mp4")
