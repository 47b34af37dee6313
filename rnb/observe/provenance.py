"""Where a run's figures come from: the code, the machine and the software."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rnb.observe import nvml

PACKAGES = ("torch", "numpy", "av", "PyNvVideoCodec", "opencv-python-headless", "triton", "pyarrow")
GIT_TIMEOUT_S = 5.0
UNTRACKED_PYTHON = ("ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/*.py")
CPU_FOLDER = Path("/sys/devices/system/cpu")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STATE_READINGS = ("sm_clock_mhz", "memory_clock_mhz", "power_w", "temperature_c", "throttle_reasons")


def collect(gpu_states: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({})) -> dict[str, Any]:
    """Facts about this machine and this code, as JSON types. What cannot be found out is None or left out.

    `gpu_states`: what the function of that name gave, by when that was.
    """
    return {
        "python": platform.python_version(),
        "packages": _package_versions(),
        **_code(),
        "hostname": platform.node(),
        "boot_id": _boot_id(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "cpu_affinity": sorted(os.sched_getaffinity(0)),
        "cpu_governors": _cpu_governors(),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "driver": nvml.machine().driver,
        "gpus": _gpus(gpu_states),
    }


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def commit() -> str | None:
    """Of the checkout that this code runs from; None where it is in none."""
    # Installed below somebody else's checkout, this file is not tracked there: that commit says nothing.
    is_tracked = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None
    return _git("rev-parse", "HEAD") if is_tracked else None


def _code() -> dict[str, Any]:
    """The commit, whether tracked files differ from it, and a hash of what is not in it."""
    if (known := commit()) is None:
        return {"commit": None, "is_dirty": None, "changes": None}
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": known,
        "is_dirty": None if changes is None else bool(changes),
        "changes": _hash_of_changes(is_clean=changes == ""),
    }


def _hash_of_changes(*, is_clean: bool) -> str | None:
    """SHA-256 of the difference to the commit, with the Python files that are not tracked; None: no such."""
    # A diff may write the index, which disturbs who commits meanwhile: not where there is nothing to find.
    difference = "" if is_clean else _git("diff", "--binary", "--no-ext-diff", "HEAD")
    top, untracked = _git("rev-parse", "--show-toplevel"), _git(*UNTRACKED_PYTHON)
    if difference is None or top is None or untracked is None or not (difference or untracked):
        return None
    found = hashlib.sha256(difference.encode("utf-8", "surrogateescape"))
    for name in sorted(filter(None, untracked.split("\0"))):
        found.update(os.fsencode(name) + b"\0")
        with contextlib.suppress(OSError):
            found.update(Path(top, name).read_bytes())
    return found.hexdigest()


def _git(*arguments: str) -> str | None:
    """What git says of the code that runs here; None outside a checkout."""
    try:
        result = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _boot_id() -> str | None:
    """The same in all processes that one kernel runs, whatever their containers are called."""
    with contextlib.suppress(OSError):
        return BOOT_ID.read_text().strip()
    return None


def _cpu_model() -> str | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return None


def _cpu_governors() -> list[str] | None:
    """How the clocks of the CPUs that the run may use are chosen; None where the kernel does not say."""
    governors = set()
    for cpu in os.sched_getaffinity(0):
        with contextlib.suppress(OSError):
            governors.add((CPU_FOLDER / f"cpu{cpu}" / "cpufreq" / "scaling_governor").read_text().strip())
    return sorted(governors) or None


def gpu_states() -> list[dict[str, Any]]:
    """Clocks, power, temperature and throttle reasons of each GPU now, in NVML's order."""
    return [_state(gpu) for gpu in nvml.machine().gpus]


def _state(gpu: nvml.Gpu) -> dict[str, Any]:
    known = _readings(gpu, STATE_READINGS)
    if "throttle_reasons" in known:
        known["throttle_reasons"] = nvml.throttle_names(known["throttle_reasons"])
    return known


def _readings(gpu: nvml.Gpu, names: Sequence[str]) -> dict[str, Any]:
    """What the GPU tells of these."""
    values = {name: gpu.read(name) for name in names}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _gpus(states: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    machine = nvml.machine()
    by_cuda_index = machine.by_cuda_index()
    return [
        {
            "name": gpu.name,
            "uuid": gpu.uuid,
            "cuda_index": by_cuda_index.index(gpu) if gpu in by_cuda_index else None,
            **_readings(gpu, ("total_memory_bytes", "power_cap_w")),
            **{when: of_gpus[index] for when, of_gpus in states.items()},
        }
        for index, gpu in enumerate(machine.gpus)
    ]
