"""What has to be the same on all nodes of a run: the code, its packages, Python, the kind of GPU."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from pathlib import Path

from rnb import home
from rnb.observe import nvml
from rnb.observe.provenance import PACKAGES

CODE = ("models", "nvvl", "utils")


def environment(*, with_gpus: bool) -> dict[str, str]:
    """By name; the kind of GPU where the run uses one."""
    found = {"Python": platform.python_version(), "code": _hash_of_code()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    if with_gpus:
        found["GPUs"] = ", ".join(sorted({gpu.name or "unknown" for gpu in nvml.machine().gpus})) or "none"
    return found


def _hash_of_code() -> str:
    """SHA-256 of all Python files of RnB, its first 12 digits."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parents[1], *(home.HOME / name for name in CODE)):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
