"""Provenance: what it says of the code is right, and what cannot be found out never stops a run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from rnb import provenance

MODULE = Path(provenance.__file__)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def code_of(module: Path) -> dict[str, object]:
    """What a copy of the module says of the code that it belongs to."""
    script = (
        "import importlib.util, json, sys;"
        "spec = importlib.util.spec_from_file_location('provenance', sys.argv[1]);"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module);"
        "facts = module.collect(); print(json.dumps([facts['commit'], facts['is_dirty']]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", script, str(module)], check=True, capture_output=True, text=True
    )
    return dict(zip(("commit", "is_dirty"), json.loads(output.stdout), strict=True))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a copy of the module, not yet added."""
    git(tmp_path, "init", "-q")
    shutil.copy(MODULE, tmp_path / "provenance.py")
    (tmp_path / "other").touch()
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-q", "-m", "Start")
    return tmp_path


def test_the_facts_are_json() -> None:
    facts = provenance.collect()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["packages"]["torch"] == torch.__version__
    assert facts["num_cpus"] == len(facts["cpu_affinity"]) >= 1


def test_a_package_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert provenance.collect()["packages"] == {"numpy": np.__version__}


def test_the_commit_and_whether_it_is_dirty(checkout: Path) -> None:
    git(checkout, "add", "provenance.py")
    git(checkout, "commit", "-q", "-m", "Add it")
    module = checkout / "provenance.py"
    commit = git(checkout, "rev-parse", "HEAD")
    assert code_of(module) == {"commit": commit, "is_dirty": False}
    (checkout / "untracked").touch()
    assert code_of(module) == {"commit": commit, "is_dirty": False}
    (checkout / "other").write_text("changed")
    assert code_of(module) == {"commit": commit, "is_dirty": True}


def test_somebody_elses_repository_says_nothing(checkout: Path) -> None:
    assert code_of(checkout / "provenance.py") == {"commit": None, "is_dirty": None}


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    shutil.copy(MODULE, tmp_path / "provenance.py")
    assert code_of(tmp_path / "provenance.py") == {"commit": None, "is_dirty": None}


def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    facts = provenance.collect()
    assert (facts["commit"], facts["is_dirty"]) == (None, None)


def test_without_py3nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3nvml", None)
    facts = provenance.collect()
    assert (facts["driver"], facts["gpus"]) == (None, [])


class FakeNVMLError(Exception):
    pass


def fake_nvml() -> ModuleType:
    """A driver with one GPU that does not tell its clocks."""

    def refuse(*_: object) -> None:
        raise FakeNVMLError

    nvml = ModuleType("py3nvml")
    functions = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlSystemGetDriverVersion": lambda: "570.1",
        "nvmlDeviceGetName": lambda handle: "A GPU",
        "nvmlDeviceGetUUID": lambda handle: "GPU-1",
        "nvmlDeviceGetMemoryInfo": lambda handle: type("Info", (), {"total": 1024}),
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
        "nvmlDeviceGetClockInfo": refuse,
    }
    nvml.__dict__.update(functions, NVMLError=FakeNVMLError, NVML_CLOCK_SM=1, NVML_CLOCK_MEM=2)
    return nvml


def test_a_reading_that_a_gpu_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("py3nvml")
    package.py3nvml = fake_nvml()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "py3nvml", package)
    facts = provenance.collect()
    assert facts["driver"] == "570.1"
    assert facts["gpus"] == [{"name": "A GPU", "uuid": "GPU-1", "memory_bytes": 1024, "power_cap_w": 700.0}]
