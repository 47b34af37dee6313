"""The gallery and its file of descriptors: made once, and again when anything changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.faces import gallery
from models.faces.describer import SIZE
from models.faces.gallery import FILE_NAME, Gallery, open_gallery
from models.faces.weights import DESCRIPTOR, FIVE_POINTS, MTCNN
from tests.support import face_data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of two people."""
    for person, view in (("astronaut", "half.png"), ("hopper", "half.png")):
        (tmp_path / "gallery" / person).mkdir(parents=True)
        shutil.copy(face_data.pictures() / "views" / person / view, tmp_path / "gallery" / person)
    return tmp_path / "gallery"


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """Files with the names of weights."""
    (tmp_path / "weights").mkdir()
    for name in (*MTCNN, FIVE_POINTS, DESCRIPTOR):
        (tmp_path / "weights" / name).write_text(name)
    return str(tmp_path / "weights")


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures were described each time; in the place of a face it is the length of the file."""
    counts: list[int] = []

    def describe(pictures: list[Path], weights: str) -> Gallery:
        counts.append(len(pictures))
        lengths = [[float(path.stat().st_size)] * SIZE for path in pictures]
        return Gallery(tuple(path.parent.name for path in pictures), np.array(lengths, np.float32))

    monkeypatch.setattr(gallery, "_describe", describe)
    return counts


def test_it_is_described_again_only_when_it_changes(folder: Path, weights: str, described: list[int]) -> None:
    first = open_gallery(str(folder), weights)
    again = open_gallery(str(folder), weights)
    assert described == [2]
    assert first.names == again.names == ("astronaut", "hopper")
    assert np.array_equal(first.descriptors, again.descriptors)
    (folder / "hopper").rename(folder / "grace")
    assert open_gallery(str(folder), weights).names == ("astronaut", "grace")
    shutil.copy(face_data.pictures() / "views/hopper/mirrored.png", folder / "grace")
    assert open_gallery(str(folder), weights).names == ("astronaut", "grace", "grace")
    assert described == [2, 2, 3]
    (Path(weights) / DESCRIPTOR).write_text("others")
    open_gallery(str(folder), weights)
    assert described == [2, 2, 3, 3]
    Path(weights).rename(folder.parent / "elsewhere")
    folder.rename(folder.with_name("moved"))
    open_gallery(str(folder.with_name("moved")), str(folder.parent / "elsewhere"))
    assert described == [2, 2, 3, 3]
    folder.with_name("moved").rename(folder)
    assert [path.name for path in folder.iterdir() if path.is_file()] == [FILE_NAME]


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_file_is_made_anew(
    folder: Path, weights: str, described: list[int], content: bytes | None
) -> None:
    first = open_gallery(str(folder), weights)
    kept = folder / FILE_NAME
    kept.write_bytes(kept.read_bytes()[:-200] if content is None else content)
    second = open_gallery(str(folder), weights)
    assert described == [2, 2]
    assert np.array_equal(first.descriptors, second.descriptors)
    open_gallery(str(folder), weights)
    assert described == [2, 2]


def test_descriptors_of_another_shape_are_not_taken(folder: Path, weights: str, described: list[int]) -> None:
    open_gallery(str(folder), weights)
    with np.load(folder / FILE_NAME) as kept:
        contents = dict(kept)
    np.savez(folder / FILE_NAME, **{**contents, "descriptors": contents["descriptors"][:1]})
    assert len(open_gallery(str(folder), weights).descriptors) == 2
    assert described == [2, 2]


def test_where_it_cannot_be_kept_it_is_described_each_time(
    folder: Path, weights: str, described: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError("read-only")

    monkeypatch.setattr(Path, "replace", refuse)
    for _ in range(2):
        assert open_gallery(str(folder), weights).names == ("astronaut", "hopper")
    assert described == [2, 2]
    assert not list(folder.glob(".*"))


def test_real_faces_are_described(folder: Path) -> None:
    real = open_gallery(str(folder), face_data.weights())
    apart = np.linalg.norm(real.descriptors[0] - real.descriptors[1])
    assert real.names == ("astronaut", "hopper")
    assert 0.6 < apart < 1.0


def test_what_is_wrong_with_a_folder_is_one_line(folder: Path, tmp_path: Path) -> None:
    weights = face_data.weights()
    with pytest.raises(ValueError, match=r"gallery: none: not a folder; 'make data' prepares a sample"):
        open_gallery("none", weights)
    with pytest.raises(ValueError, match=r"astronaut: no picture in it \(\.jpeg, .*\), as name/picture"):
        open_gallery(str(folder / "astronaut"), weights)
    shutil.copy(face_data.pictures() / "views/nobody/coffee.png", folder / "hopper/1.png")
    with pytest.raises(ValueError, match=r"gallery: .*hopper/1\.png: no face found in it"):
        open_gallery(str(folder), weights)
    (folder / "hopper/1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"hopper/1\.png: is no image"):
        open_gallery(str(folder), weights)
    with pytest.raises(ValueError, match=r"pnet\.pt: no such weights"):
        open_gallery(str(folder), str(tmp_path))
    assert not (folder / FILE_NAME).exists()


def test_who_is_nearest_and_near_enough() -> None:
    rows = np.zeros((3, SIZE), np.float32)
    rows[:, 0] = (0.0, 1.0, 3.0)
    known = Gallery(("ann", "bob", "bob"), rows)
    faces = np.zeros((4, SIZE), np.float32)
    faces[:, 0] = (0.1, 0.5, 2.7, 10)
    matches = known.match(faces, threshold=0.5)
    assert [match.name for match in matches] == ["ann", "ann", "bob", None]
    assert [match.distance for match in matches] == pytest.approx([0.1, 0.5, 0.3, 7], abs=1e-6)
    assert known.match(faces[:0], threshold=0.5) == []
