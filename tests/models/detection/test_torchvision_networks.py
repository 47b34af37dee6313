"""torchvision's networks are found, with its compiled operators or without; else one line says what to do."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator

import pytest

from models.detection.torchvision_networks import import_detection


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    import_detection.cache_clear()
    yield
    import_detection.cache_clear()


def test_it_is_imported() -> None:
    assert import_detection().__name__ == "torchvision.models.detection"


def test_without_it_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^a detector needs torchvision: pip install -e '\.\[detection\]'$"):
        import_detection()


def test_one_that_cannot_be_imported_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("operator torchvision::new does not exist\nand more")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ValueError, match="does not exist; pip install") as caught:
        import_detection()
    assert "\n" not in str(caught.value)
