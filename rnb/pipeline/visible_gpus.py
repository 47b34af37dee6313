"""How many GPUs CUDA shows to this process. NVML tells it at once; PyTorch takes seconds to be imported.

Source: NVIDIA's "CUDA C++ Programming Guide", environment variables.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import warnings
from importlib import metadata
from typing import Any

LIBRARIES = ("pynvml", "py3nvml.py3nvml")


@functools.cache
def num_visible_gpus(devices: str | None) -> int:
    """Of those that CUDA_VISIBLE_DEVICES names, if it is there.

    PyTorch is asked where NVML does not know, or where they are not named by their indices. Once: a search
    plans thousands of pipelines.
    """
    told = _told_by_nvml(devices)
    if told is not None:
        return told
    import torch

    return torch.cuda.device_count()


def _told_by_nvml(devices: str | None) -> int | None:
    """None: it does not know."""
    names = None if devices is None else devices.replace(" ", "").split(",")
    if names is not None and not (all(map(str.isdecimal, names)) and len({*map(int, names)}) == len(names)):
        return None
    try:
        if metadata.version("torch").endswith("+cpu"):
            return None
        count: int = opened_nvml().nvmlDeviceGetCount()
    except Exception:  # no PyTorch, no library, no driver, or one too old: there is an exception for each
        return None
    # CUDA shows only those before an index that does not exist.
    return count if names is None else len(list(itertools.takewhile(lambda name: int(name) < count, names)))


def opened_nvml() -> Any:
    """NVIDIA's own nvidia-ml-py, which knows all processes; where it is not, py3nvml, which works alike.

    It stays open. Raises ImportError where there is neither, and what they raise where there is no driver.
    """
    for name in LIBRARIES:
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library: Any = importlib.import_module(name)
            library.nvmlInit()
            return library
    raise ImportError(f"none of {', '.join(LIBRARIES)} is installed")
