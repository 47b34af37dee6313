"""torchvision for tests that compare with it."""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from typing import Any

import pytest

from models.detection.torchvision_networks import import_detection


def torchvision_module(name: str) -> Any:
    """A module of torchvision by its path, also beside another PyTorch than it is compiled for; else skip."""
    if find_spec("torchvision") is None:
        end = pytest.fail if os.environ.get("RNB_REQUIRE_CUDA") == "1" else pytest.skip
        end("torchvision is not installed: pip install -e '.[detection]'")
    import_detection()
    return importlib.import_module(name)
