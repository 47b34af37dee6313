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
    commit = _git("rev-parse", "HEAD")
    return {
        "python": platform.python_version(),
        "packages": _package_versions(),
        "commit": commit,
        "is_dirty": None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from py3nvml import py3nvml as nvml
    try:
        nvml.nvmlInit()
    except Exception:  # no driver, no library, or one too old: py3nvml has an exception for each
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
