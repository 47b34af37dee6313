"""The package that `pip install .` installs: it has all it needs, and takes no other package's name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.support.made_once import made_once
from tests.support.running import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.processes]

SOURCES = ("config", "models", "nvvl", "rnb", "utils")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


def python(*arguments: str | Path, cwd: Path, path: Path | None = None) -> str:
    """What this Python prints, with `path` as the only other place that it imports from."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", *map(str, arguments)],
        cwd=cwd,
        env=environment if path is None else {**environment, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder: Path) -> None:
    """Make the wheel without network, from a copy, since a checkout may hold what git does not."""
    source = folder / "source"
    files = ("pyproject.toml", "README.md", "LICENSE", ".gitignore")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in files:
        shutil.copy(ROOT / name, source)
    (source / "utils" / "cupti" / "cupti.so").touch()
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    python(*PIP, "wheel", str(source), *flags, cwd=folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = made_once(tmp_path_factory, "wheel", build).glob("*.whl")
    return path


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """A folder that the wheel is installed into, for PYTHONPATH."""
    target = tmp_path / "installed"
    python(*PIP, "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=tmp_path)
    return target


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def files_below(names: Sequence[str], suffixes: Sequence[str]) -> set[str]:
    found = (path for name in names for path in (ROOT / name).rglob("*") if path.suffix in suffixes)
    return {str(path.relative_to(ROOT)) for path in found}


def test_it_has_every_source_and_config_and_nothing_beside_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"rnb"}
    assert files_below(["rnb"], [".py", ".css", ".js"]) <= names
    home = files_below([name for name in SOURCES if name != "rnb"], [".py", ".json"])
    assert {f"rnb/_home/{name}" for name in home} <= names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_its_commands_are_there(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    commands = ConfigParser()
    commands.read_string(archive.read(name).decode())
    assert dict(commands["console_scripts"]) == {
        "rnb-benchmark": "rnb.command_line.benchmark:main",
        "rnb-compare": "rnb.command_line.compare:main",
        "rnb-demo": "rnb.command_line.demo:main",
        "rnb-optimize": "rnb.command_line.optimize:main",
        "rnb-serve": "rnb.command_line.serve:main",
    }


def test_a_config_of_its_own_resolves_in_an_empty_folder(installed: Path, empty: Path) -> None:
    flags = ("-c", "config/r2p1d-cpu.json", "--device", "cpu", "--check")
    plan = python("-m", "rnb.command_line.benchmark", *flags, cwd=empty, path=installed)
    assert plan.startswith("processes: 1 driver, 1 client, ")
    assert "R2P1D" in plan
    command = installed / "bin" / "rnb-benchmark"
    assert python(command, *flags, cwd=empty, path=installed) == plan
    assert not list(empty.iterdir())


def test_a_run_plays_in_an_empty_folder(installed: Path, empty: Path, tmp_path: Path) -> None:
    places = ("--logs", str(tmp_path / "logs"), "--no-telemetry", "--quiet")
    load = ("-c", "config/queueing-mm2.json", "-mi", "0", "-v", "10")
    out = python("-m", "rnb.command_line.benchmark", *load, *places, cwd=empty, path=installed)
    assert "run folder: " in out
    (folder,) = (tmp_path / "logs").iterdir()
    compared = python("-m", "rnb.command_line.compare", folder, cwd=empty, path=installed)
    assert folder.name in compared
