from __future__ import annotations

import importlib

import pytest

from utils.cupti.bridge import open_cupti
from utils.cupti.errors import CuptiError, CuptiUnavailable


def test_a_bridge_that_is_not_built_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", find_nothing)
    with pytest.raises(CuptiUnavailable, match=r"run \./build_cupti\.sh"):
        open_cupti()


def test_a_bridge_without_libcupti_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError("libcupti.so.13: cannot open shared object file; install nvidia-cuda-cupti")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(CuptiUnavailable, match="install nvidia-cuda-cupti"):
        open_cupti()


def test_errors_carry_the_function_and_the_code() -> None:
    error = CuptiUnavailable("one line", "cuptiSubscribe", 39)
    assert isinstance(error, CuptiError)
    assert (str(error), error.function, error.code) == ("one line", "cuptiSubscribe", 39)
