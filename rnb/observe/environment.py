"""What has to be the same on all nodes of a run: code and commit, packages, Python, priority, GPUs."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

from rnb import home
from rnb.observe import nvml, provenance

_NUM_DIGITS = 12
CODE = ("models", "nvvl", "utils")


def environment() -> dict[str, str]:
    """By name; the kinds of GPU are one text."""
    commit = (provenance.commit() or "unknown")[:_NUM_DIGITS]
    found = {"commit": commit, "code": _hash_of_code(), "Python": platform.python_version()}
    for package in provenance.PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["niceness"] = str(os.getpriority(os.PRIO_PROCESS, 0))
    kinds = sorted({gpu.name or "unknown" for gpu in nvml.machine().gpus})
    return {**found, "GPUs": ", ".join(kinds) or "none"}


def _hash_of_code() -> str:
    """SHA-256 of all Python files of RnB, its first digits."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parents[1], *(home.HOME / name for name in CODE)):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:_NUM_DIGITS]
