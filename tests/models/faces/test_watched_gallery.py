"""A gallery whose pictures change while a pipeline serves."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.faces import gallery as gallery_module
from models.faces import watched_gallery
from models.faces.gallery import Gallery, open_gallery
from models.faces.watched_gallery import WatchedGallery
from tests.support import face_data


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of one person."""
    (tmp_path / "gallery/hopper").mkdir(parents=True)
    shutil.copy(face_data.pictures() / "views/hopper/half.png", tmp_path / "gallery/hopper")
    return tmp_path / "gallery"


def put(folder: Path, name: str, view: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return Path(shutil.copy(face_data.pictures() / "views" / view, folder / name))


def test_who_is_put_in_is_known_from_the_next_look_on(folder: Path) -> None:
    clock = Clock()
    gallery = WatchedGallery(str(folder), face_data.weights(), 2.0, clock)
    first = gallery.current()
    put(folder, "ann", "astronaut/half.png")
    clock.now_s = 1.9
    assert gallery.current() is first
    clock.now_s = 2.1
    assert gallery.current().names == ("ann", "hopper")
    shutil.rmtree(folder / "ann")
    clock.now_s = 5.0
    assert gallery.current().names == ("hopper",)
    clock.now_s = 8.0
    assert gallery.current() is gallery.current()


def test_a_picture_without_a_face_leaves_it_as_it_was(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    gallery = WatchedGallery(str(folder), face_data.weights(), 1.0, clock)
    first, wrong = gallery.current(), put(folder, "cup", "nobody/coffee.png")
    clock.now_s = 2.0
    with caplog.at_level(logging.WARNING):
        assert gallery.current() is first
    assert "the gallery stays as it was" in caplog.text
    assert "coffee.png: no face found in it" in caplog.text
    wrong.unlink()
    put(folder, "ann", "astronaut/half.png")
    clock.now_s = 4.0
    assert gallery.current().names == ("ann", "hopper")


def test_without_a_time_it_stays(folder: Path) -> None:
    clock = Clock()
    gallery = WatchedGallery(str(folder), face_data.weights(), None, clock)
    put(folder, "ann", "astronaut/half.png")
    clock.now_s = 1e9
    assert gallery.current().names == ("hopper",)


def test_a_picture_that_is_taken_away_while_it_is_opened_leaves_it_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    gallery = WatchedGallery(str(folder), face_data.weights(), 1.0, clock)
    first, put_in = gallery.current(), put(folder, "ann", "astronaut/half.png")

    def too_late(*arguments: str) -> Gallery:
        put_in.unlink()
        return open_gallery(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(watched_gallery, "open_gallery", too_late)
        patched.setattr(gallery_module, "_pictures", lambda _: [folder / "hopper/half.png", put_in])
        clock.now_s = 2.0
        assert gallery.current() is first
    clock.now_s = 4.0
    assert gallery.current().names == ("hopper",)


def test_what_fails_for_a_moment_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    gallery = WatchedGallery(str(folder), face_data.weights(), 1.0, clock)
    first = gallery.current()
    put(folder, "ann", "astronaut/half.png")

    def too_many_files(*arguments: str) -> Gallery:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(watched_gallery, "open_gallery", too_many_files)
        clock.now_s = 2.0
        assert gallery.current() is first
    clock.now_s = 4.0
    assert gallery.current().names == ("ann", "hopper")


def test_what_is_no_file_is_no_picture(folder: Path) -> None:
    (folder / "ann").mkdir()
    os.mkfifo(folder / "ann/a.jpg")
    assert WatchedGallery(str(folder), face_data.weights(), None).current().names == ("hopper",)
