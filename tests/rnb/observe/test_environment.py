"""What has to be the same on all nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb import home
from rnb.observe.environment import CODE, environment


def test_it_names_python_the_code_and_packages() -> None:
    found = environment(with_gpus=False)
    assert found["Python"].startswith("3.")
    assert found["torch"] != "not installed"
    assert "GPUs" not in found
    assert "GPUs" in environment(with_gpus=True)
    assert environment(with_gpus=False) == found


def test_other_code_has_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CODE:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(home, "HOME", tmp_path)
    before = environment(with_gpus=False)["code"]
    (tmp_path / "models" / "model.py").write_text("a = 1\n")
    changed = environment(with_gpus=False)["code"]
    (tmp_path / "models" / "model.py").write_text("a = 2\n")
    assert len({before, changed, environment(with_gpus=False)["code"]}) == 3
