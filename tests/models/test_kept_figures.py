"""Figures are found once for equal conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.kept_figures import code_of, kept, state_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def found(conditions: dict[str, Any]) -> bool:
    """Whether they had to be found."""
    asked: list[int] = []

    def find() -> dict[str, float]:
        asked.append(1)
        return {"share": 0.5}

    assert kept(conditions, find) == {"share": 0.5}
    return bool(asked)


def test_they_are_found_once_for_equal_conditions() -> None:
    assert [found({"a": 1, "b": [2]}), found({"b": [2], "a": 1}), found({"a": 1, "b": [3]})] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"conditions": {}}'])
def test_what_cannot_be_read_is_found_again(cache: Path, damage: str) -> None:
    assert found({})
    (file,) = (cache / "rnb" / "figures").iterdir()
    file.write_text(damage)
    assert [found({}), found({})] == [True, False]


def test_a_cache_that_cannot_be_written_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert [found({}), found({})] == [True, True]


def test_another_file_is_another_condition(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    assert state_of(str(file)) == [str(file)]
    file.write_text("1")
    before = state_of(str(file)), code_of(tmp_path)
    file.write_text("22")
    after = state_of(str(file)), code_of(tmp_path)
    assert before[0] != after[0]
    assert before[1] != after[1]
