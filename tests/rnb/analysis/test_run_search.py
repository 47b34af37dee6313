"""Finding run folders below the folders that were named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.analysis.run_search import RunSearch, search
from rnb.record.run_folder import RunFolderError
from tests.support.sample_runs import write_run, write_seed_run


def folders(found: RunSearch) -> list[Path]:
    return [run.folder for run, _ in found.read()]


def test_a_run_folder_is_itself(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    found = search([folder])
    assert folders(found) == [folder]
    assert found.found[0].swept is None


def test_run_folders_below_a_folder(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name) for name in ("b", "a", "c/deep/down")]
    seed = write_seed_run(tmp_path / "seed")
    (seed / "inside").mkdir()
    found = search([tmp_path])
    assert folders(found) == [runs[1], runs[0], runs[2], seed]
    assert {run.swept for run in found.found} == {str(tmp_path)}
    assert found.skipped == []


def test_no_run_is_read_twice(tmp_path: Path) -> None:
    first, other = write_run(tmp_path / "logs"), write_run(tmp_path / "logs")
    (tmp_path / "link").symlink_to(other)
    found = search([other, tmp_path / "link", tmp_path / "logs", tmp_path / "logs" / ".." / "logs", other])
    assert folders(found) == [other, first]
    assert [run.swept for run in found.found] == [None, str(tmp_path / "logs")]


def test_what_is_no_complete_run_is_skipped_below_a_folder(tmp_path: Path) -> None:
    run, damaged, empty = write_run(tmp_path / "a"), write_run(tmp_path / "b"), tmp_path / "c" / "begun"
    (damaged / "run.json").write_text("{")
    empty.mkdir(parents=True)
    found = search([tmp_path])
    assert folders(found) == [run]
    assert sorted(found.skipped) == [damaged, empty]


@pytest.mark.parametrize("kind", ["damaged", "empty", "missing"])
def test_what_is_no_complete_run_is_an_error_by_name(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "missing"
    if kind == "damaged":
        folder = write_run(tmp_path)
        (folder / "run.json").write_text("{")
    if kind == "empty":
        folder.mkdir()
    with pytest.raises(RunFolderError, match=str(folder)):
        folders(search([folder]))
