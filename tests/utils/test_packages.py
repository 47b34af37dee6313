"""Taking files out of archives that the test makes, so that no network is needed."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from utils import packages
from utils.packages import Package, PackageError, partial_file, read_package, write_whole

CONTENT = b"some weights"
PACKAGE = Package("some-weights", "1.0", "a", {"b.dat": hashlib.sha256(CONTENT).hexdigest()})


def wheel(folder: Path, content: bytes = CONTENT) -> None:
    with zipfile.ZipFile(folder / "some_weights-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("a/b.dat", content)
        archive.writestr("a/code.py", "raise SystemExit")


def source(folder: Path, content: bytes = CONTENT) -> None:
    with tarfile.open(folder / "some_weights-1.0.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("a/b.dat")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def no_download(package: Package, cache: Path) -> None:
    raise PackageError("downloads")


@pytest.mark.parametrize("make", [wheel, source])
def test_the_wanted_files_come_out(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_download", no_download)
    make(tmp_path)
    assert read_package(PACKAGE, tmp_path) == {"b.dat": CONTENT}


@pytest.mark.parametrize("make", [wheel, source])
def test_another_content_is_downloaded_again_and_refused(
    make: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, b"other weights")
    monkeypatch.setattr(packages, "_download", lambda package, cache: None)
    with pytest.raises(PackageError, match=r"some-weights==1\.0: the download does not have the expected"):
        read_package(PACKAGE, tmp_path)
    monkeypatch.setattr(packages, "_download", lambda package, cache: make(cache))
    assert read_package(PACKAGE, tmp_path) == {"b.dat": CONTENT}


def test_a_cut_archive_is_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source(tmp_path)
    path = tmp_path / "some_weights-1.0.tar.gz"
    path.write_bytes(path.read_bytes()[:40])
    monkeypatch.setattr(packages, "_download", lambda package, cache: source(cache))
    assert read_package(PACKAGE, tmp_path / ".") == {"b.dat": CONTENT}


def test_a_failed_download_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PackageError) as caught:
        read_package(Package("some-weights", "0.no", "a", {"b.dat": ""}), tmp_path / "new")
    assert str(caught.value).startswith("cannot download some-weights==0.no: ")
    assert "\n" not in str(caught.value)


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "new/file", b"1")
    assert (tmp_path / "new/file").read_bytes() == b"1"
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "half")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["file"]


def write_half(path: Path) -> None:
    with partial_file(path) as partial:
        partial.write_bytes(b"2")
        raise KeyboardInterrupt
