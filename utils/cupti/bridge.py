"""Opens the CUPTI bridge, or says in one line why it cannot be."""

from __future__ import annotations

import importlib
from types import ModuleType

from utils.cupti.errors import CuptiUnavailable


def open_cupti() -> ModuleType:
    """Return `utils.cupti.cupti`; CuptiUnavailable where it is not built or libcupti is not installed."""
    try:
        return importlib.import_module("utils.cupti.cupti")
    except ModuleNotFoundError as error:
        raise CuptiUnavailable("utils/cupti/cupti.so is not built: run ./build_cupti.sh") from error
    except ImportError as error:
        raise CuptiUnavailable(str(error)) from error
