"""Where RnB's own configs are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.home import HOME, find

NAME = "config/r2p1d-cpu.json"


def test_a_checkout_is_its_own_home() -> None:
    assert Path(__file__).parents[2] == HOME


def test_a_file_of_the_current_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(NAME) == str(HOME / NAME)
    (tmp_path / NAME).parent.mkdir()
    (tmp_path / NAME).touch()
    assert find(NAME) == NAME


def test_a_file_that_is_nowhere_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("config/none.json") == "config/none.json"
    assert find(str(tmp_path / "none.json")) == str(tmp_path / "none.json")
