"""Which images a run plays."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from models.images.requests import ImageIterator
from tests.support.images import encode, picture, write_images, write_tfrecord
from utils.tfrecord import find_records


def names(root: Path, num: int) -> list[str]:
    return [Path(payload).name for payload in itertools.islice(ImageIterator(str(root)), num)]


def test_the_images_of_a_folder_come_in_turn(tmp_path: Path) -> None:
    write_images(tmp_path, 2)
    write_images(tmp_path / "label", 1)
    for name in ("a.PNG", "b.webp", "c.jpeg", "d.txt", "e.gif", ".hidden"):
        shutil.copy(tmp_path / "0.jpg", tmp_path / name)
    (tmp_path / "f.jpg").mkdir()
    assert names(tmp_path, 7) == ["0.jpg", "1.jpg", "a.PNG", "b.webp", "c.jpeg", "0.jpg", "0.jpg"]


@pytest.mark.parametrize(
    "name", ["a.tfrecord", "a.tfrecords", "a.tfrec", "a.tfrecord-00000-of-00002", "train-00000-of-00002"]
)
def test_each_record_of_a_tfrecord_file_is_an_image(tmp_path: Path, name: str) -> None:
    file = write_tfrecord(tmp_path / "label" / name, [encode(picture(20, 20, seed)) for seed in range(3)])
    places = [str(place) for place in find_records(str(file))]
    for root in (tmp_path, file):
        assert list(itertools.islice(ImageIterator(str(root)), 4)) == [*places, places[0]]
    assert Path(f"{file}.idx").is_file()


def test_files_and_records_may_be_in_one_folder(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "b.tfrecord", [b"1", b"2"])
    write_images(tmp_path, 1)
    (jpeg, first, second) = itertools.islice(ImageIterator(str(tmp_path)), 3)
    assert (Path(jpeg).name, "b.tfrecord@0+" in first, "b.tfrecord@" in second) == ("0.jpg", True, True)


@pytest.mark.parametrize(
    ("root", "problem"),
    [
        ("none", "none: neither a folder of images nor a TFRecord file; 'make images'"),
        (
            ".",
            r"no image in it \(.jpeg, .jpg, .png, .webp, or TFRecord files\), flat or as label/image; 'make ",
        ),
        ("text.txt", "text.txt: no image in it"),
    ],
)
def test_where_there_is_none_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").touch()
    with pytest.raises(ValueError, match=problem):
        ImageIterator(root)
