"""Provenance: what it says of the code is right, and what cannot be found out never stops a run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnb.observe import provenance
from tests.support.fake_nvml import FakeGpu, install, use_libraries

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
        "facts = module.collect(); print(json.dumps([facts['commit'], facts['is_dirty'], facts['changes']]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", script, str(module)], check=True, capture_output=True, text=True
    )
    return dict(zip(("commit", "is_dirty", "changes"), json.loads(output.stdout), strict=True))


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
    assert facts["packages"]["torch"] == importlib.metadata.version("torch")
    assert facts["num_cpus"] == len(facts["cpu_affinity"]) >= 1


def test_a_package_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert provenance.collect()["packages"] == {"numpy": np.__version__}


def test_the_commit_and_whether_it_is_dirty(checkout: Path) -> None:
    git(checkout, "add", "provenance.py")
    git(checkout, "commit", "-q", "-m", "Add it")
    module = checkout / "provenance.py"
    commit = git(checkout, "rev-parse", "HEAD")
    assert code_of(module) == {"commit": commit, "is_dirty": False, "changes": None}
    (checkout / "untracked").touch()
    assert code_of(module) == {"commit": commit, "is_dirty": False, "changes": None}
    (checkout / "other").write_text("changed")
    assert code_of(module)["is_dirty"] is True


def test_the_index_of_the_checkout_is_not_written(checkout: Path) -> None:
    git(checkout, "add", "provenance.py")
    git(checkout, "commit", "-q", "-m", "Add it")
    os.utime(checkout / "other", (1, 1))  # git would note this, with the index locked
    before = (checkout / ".git" / "index").read_bytes()
    assert code_of(checkout / "provenance.py")["is_dirty"] is False
    assert (checkout / ".git" / "index").read_bytes() == before


def test_two_dirty_trees_are_told_apart(checkout: Path) -> None:
    git(checkout, "add", "provenance.py")
    git(checkout, "commit", "-q", "-m", "Add it")
    found = []
    for name, text in (("other", "one"), ("other", "two"), ("step.py", "three"), ("step.py", "four")):
        (checkout / name).write_text(text)
        found.append(code_of(checkout / "provenance.py")["changes"])
    assert len(set(found)) == 4
    assert all(isinstance(changes, str) and len(changes) == 64 for changes in found)
    assert code_of(checkout / "provenance.py")["changes"] == found[-1]


def test_somebody_elses_repository_says_nothing(checkout: Path) -> None:
    assert code_of(checkout / "provenance.py") == {"commit": None, "is_dirty": None, "changes": None}


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    shutil.copy(MODULE, tmp_path / "provenance.py")
    assert code_of(tmp_path / "provenance.py") == {"commit": None, "is_dirty": None, "changes": None}


def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    facts = provenance.collect()
    assert (facts["commit"], facts["is_dirty"]) == (None, None)


def test_without_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    use_libraries(monkeypatch, {})
    facts = provenance.collect({"at_start": provenance.gpu_states()})
    assert (facts["driver"], facts["gpus"]) == (None, [])


def test_the_gpus_and_their_states_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    idle = FakeGpu("A GPU", "GPU-0", lacks=["nvmlDeviceGetClockInfo", "nvmlDeviceGetEnforcedPowerLimit"])
    install(monkeypatch, [idle, FakeGpu("A GPU", "GPU-1")])
    facts = provenance.collect({"at_start": provenance.gpu_states(), "at_end": provenance.gpu_states()})
    assert facts["driver"] == "570.1"
    state = {
        "power_w": 312.5,
        "temperature_c": 44,
        "throttle_reasons": ["sw_power_cap", "sw_thermal_slowdown"],
    }
    clocks = {"sm_clock_mhz": 1980, "memory_clock_mhz": 2619}
    of_idle = {"name": "A GPU", "uuid": "GPU-0", "cuda_index": None, "total_memory_bytes": 1024}
    of_used = {
        "name": "A GPU",
        "uuid": "GPU-1",
        "cuda_index": 0,
        "total_memory_bytes": 1024,
        "power_cap_w": 700,
    }
    assert facts["gpus"] == [
        {**of_idle, "at_start": state, "at_end": state},
        {**of_used, "at_start": {**clocks, **state}, "at_end": {**clocks, **state}},
    ]


def test_cpu_governors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    for cpu, governor in enumerate(["performance", "powersave"]):
        folder = tmp_path / f"cpu{cpu}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
    monkeypatch.setattr(provenance, "CPU_FOLDER", tmp_path)
    assert provenance.collect()["cpu_governors"] == ["performance", "powersave"]
    monkeypatch.setattr(provenance, "CPU_FOLDER", tmp_path / "none")
    assert provenance.collect()["cpu_governors"] is None
