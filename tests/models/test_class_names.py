"""What the classes of a network are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.class_names import read_class_names
from models.r2p1d.presets import KINETICS_CLASSES
from tests.support.torchvision_module import torchvision_module


def test_the_names_of_kinetics() -> None:
    names = read_class_names(KINETICS_CLASSES, 400)
    assert (names[0], names[101], names[399]) == ("abseiling", "drinking beer", "zumba")
    assert len(set(names)) == 400


def test_the_names_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("walking\n  rock én éroll \n", encoding="utf-8")
    assert read_class_names(str(path)) == read_class_names(str(path), 2) == ("walking", "rock én éroll")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1 has no name"),
        (b"one\n\nthree\n", "line 2 has no name"),
        (b"one\ntwo\n", "2 names, but num_classes is 3"),
        (b"\xff\xfe\n", "not a text in UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="class_names: ") as caught:
        read_class_names(str(path), 3)
    assert str(caught.value) == f"class_names: {path}: {reason}"


def test_the_names_are_torchvisions() -> None:
    meta = torchvision_module("torchvision.models._meta")
    assert list(read_class_names(KINETICS_CLASSES)) == meta._KINETICS400_CATEGORIES
