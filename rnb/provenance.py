"""Where a run's figures come from: the code, the machine and the software."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "av", "PyNvVideoCodec", "opencv-python-headless", "triton", "pyarrow")
GIT_TIMEOUT_S = 5.0


def collect() -> dict[str, Any]:
    """Facts about this machine and this code, as JSON types. What cannot be found out is None or left out."""
    return {
        "python": platform.python_version(),
        "packages": _package_versions(),
        **_code(),
        "hostname": platform.node(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "cpu_affinity": sorted(os.sched_getaffinity(0)),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        **_gpus(),
    }


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _code() -> dict[str, Any]:
    """The commit, and whether tracked files differ from it."""
    # Installed below somebody else's checkout, this file is not tracked there: that commit says nothing.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return {"commit": None, "is_dirty": None}
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": _git("rev-parse", "HEAD"), "is_dirty": None if changes is None else bool(changes)}


def _git(*arguments: str) -> str | None:
    """What git says of the code that runs here; None outside a checkout."""
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _cpu_model() -> str | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return None


def _gpus() -> dict[str, Any]:
    """Driver, and name, UUID, memory, power cap and clocks of each GPU, through NVML."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from py3nvml import py3nvml as nvml
        nvml.nvmlInit()
    except Exception:  # no py3nvml, no driver, or one too old: there is an exception for each
        return {"driver": None, "gpus": []}
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return {
            "driver": nvml.nvmlSystemGetDriverVersion(),
            "gpus": [_gpu(nvml, handle) for handle in handles],
        }
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, handle: Any) -> dict[str, Any]:
    readings: dict[str, Callable[[], Any]] = {
        "name": lambda: nvml.nvmlDeviceGetName(handle),
        "uuid": lambda: nvml.nvmlDeviceGetUUID(handle),
        "memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
        "power_cap_w": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
        "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
    }
    found: dict[str, Any] = {}
    for name, reading in readings.items():
        with contextlib.suppress(nvml.NVMLError):  # not every GPU has every reading
            found[name] = reading()
    return found
