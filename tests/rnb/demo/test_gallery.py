"""Pictures of people are put where the gallery of faces looks for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.demo.gallery import enrol
from tests.support.images import encode, picture


def test_a_picture_is_kept_under_the_name(tmp_path: Path) -> None:
    data = encode(picture())
    path = enrol(tmp_path / "gallery", " Ann Lee ", data)
    assert path.parent == tmp_path / "gallery" / "Ann Lee"
    assert path.suffix == ".jpg"
    assert path.read_bytes() == data
    assert enrol(tmp_path / "gallery", "Ann Lee", data) == path
    assert enrol(tmp_path / "gallery", "Ann Lee", encode(picture(), ".png")).suffix == ".png"
    assert len(list((tmp_path / "gallery").glob("*/*"))) == 2


@pytest.mark.parametrize("name", ["", " ", "..", ".hidden", "a/b", "/etc", "a\nb", "a\0b", "x" * 101])
def test_a_name_must_be_that_of_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="a name has 1 to 100 characters"):
        enrol(tmp_path / "gallery", name, encode(picture()))
    assert not (tmp_path / "gallery").exists()


@pytest.mark.parametrize("data", [b"", b"text"])
def test_it_must_be_a_picture(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match="no picture"):
        enrol(tmp_path, "ann", data)


def test_a_gallery_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "gallery").write_text("a file")
    with pytest.raises(ValueError, match="cannot be written: Not a directory"):
        enrol(tmp_path / "gallery", "ann", encode(picture()))
