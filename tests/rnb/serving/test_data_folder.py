"""Files that requests name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnb.serving.data_folder import DataFolder
from rnb.serving.refusal import Refusal


def test_a_file_under_it_by_any_way_that_stays_inside(data_folder: Path) -> None:
    folder, film = DataFolder(str(data_folder)), str(data_folder / "label" / "film.mp4")
    for name in (b"label/film.mp4", b"./label//film.mp4", b"inside"):
        assert folder.find(name) == film


def test_the_folder_may_be_a_link_or_relative(data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(data_folder)
    for root in (str(tmp_path / "link"), os.path.relpath(data_folder)):
        assert DataFolder(root).find(b"inside") == str(data_folder / "label" / "film.mp4")


def test_what_is_outside_is_told_as_what_is_not_there(data_folder: Path) -> None:
    folder = DataFolder(str(data_folder))
    for name in ("outside", "../secret.mp4", str(data_folder / "inside"), "nothing", "label", ""):
        with pytest.raises(Refusal) as caught:
            folder.find(name.encode())
        assert str(caught.value) == f"PATH: no file {name!r} in the data folder"


def test_a_folder_with_the_same_beginning_is_another(data_folder: Path) -> None:
    beside = data_folder.with_name("data-2")
    beside.mkdir(exist_ok=True)
    (beside / "x").touch()
    (data_folder / "to-beside").symlink_to(beside / "x")
    with pytest.raises(Refusal):
        DataFolder(str(data_folder)).find(b"to-beside")


def test_a_pipe_is_no_file(data_folder: Path) -> None:
    os.mkfifo(data_folder / "pipe")
    with pytest.raises(Refusal):
        DataFolder(str(data_folder)).find(b"pipe")
