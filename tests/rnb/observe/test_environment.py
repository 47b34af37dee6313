"""What has to be the same on all nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb import home
from rnb.observe import provenance
from rnb.observe.environment import CODE, environment


def test_it_names_python_the_code_and_packages() -> None:
    found = environment()
    assert found["Python"].startswith("3.")
    assert found["torch"] != "not installed"
    assert found["GPUs"]
    assert environment() == found


def test_the_commit_is_that_of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789abcdef0123")
    assert environment()["commit"] == "0123456789ab"
    monkeypatch.setattr(provenance, "commit", lambda: None)
    assert environment()["commit"] == "unknown"


def test_other_code_has_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CODE:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(home, "HOME", tmp_path)
    before = environment()["code"]
    (tmp_path / "models" / "model.py").write_text("a = 1\n")
    changed = environment()["code"]
    (tmp_path / "models" / "model.py").write_text("a = 2\n")
    assert len({before, changed, environment()["code"]}) == 3
