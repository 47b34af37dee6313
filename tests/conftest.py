"""Rules and fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.support import odd_videos


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` skip without CUDA, and fail without it where RNB_REQUIRE_CUDA=1."""
    if item.get_closest_marker("gpu") is None or torch.cuda.is_available():
        return
    if os.environ.get("RNB_REQUIRE_CUDA") == "1":
        pytest.fail("RNB_REQUIRE_CUDA=1, but PyTorch finds no GPU", pytrace=False)
    pytest.skip("needs a GPU")


@pytest.fixture(scope="session")
def odd_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny video of every kind in `odd_videos.RECIPES`."""
    return odd_videos.make_all(tmp_path_factory.mktemp("odd_videos"))
