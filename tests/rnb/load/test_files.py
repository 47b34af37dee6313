"""The files that are sent to a server."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from rnb.load.files import FileIterator


def test_files_come_in_order_over_and_over(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/z.txt", "a/.hidden", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list(itertools.islice(FileIterator(str(tmp_path)), 3))
    assert found == [str(tmp_path / "a/z.txt"), str(tmp_path / "b.jpg"), str(tmp_path / "a/z.txt")]


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file in it"):
        FileIterator(str(tmp_path))
    with pytest.raises(ValueError, match="not a folder"):
        FileIterator(str(tmp_path / "gone"))
