"""torchvision's networks for detection; of torchvision only the part in Python is needed."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

INSTALL = "pip install -e '.[detection]'"
DESCRIBED = ("nms", "qnms")
"""The operators that it describes to PyTorch when it is imported."""
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def import_detection() -> Any:
    """The module `torchvision.models.detection`.

    The torchvision on PyPI is compiled for PyTorch's CUDA build. Beside a CPU build its operators do not
    load, and importing it fails where it describes two of them unless they have names. None of them is used.

    Raises ValueError with what to do where torchvision is missing or of another PyTorch.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        raise ValueError(f"a detector needs torchvision: {INSTALL}")
    _load_operators(Path(found.origin).with_name("_C.so"))
    for name in DESCRIBED:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", SIGNATURE)
    try:
        return importlib.import_module("torchvision.models.detection")
    except (ImportError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"torchvision cannot be imported: {reason}; {INSTALL}") from None


def _load_operators(library: Path) -> None:
    with suppress(OSError):
        torch.ops.load_library(library)
