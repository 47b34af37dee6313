"""Fetch NVIDIA's perf_analyzer, and run it:

    python -m utils.perf_analyzer -m r2p1d-cpu -u 127.0.0.1:8001 -i grpc --input-data input.json

It comes out of the PyPI package tritonclient 2.51.0, the last one whose binary runs with glibc 2.36 (Debian
12), and needs the CUDA runtime, another package of PyPI, and libb64, one of Debian. They are unpacked, and
nothing is installed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.packages import Package, PackageError, read_package, write_whole

CACHE = Path("data/cache")
CLIENT = Package(
    "tritonclient",
    "2.51.0",
    "tritonclient-2.51.0.data/data/bin",
    {"perf_analyzer": "a8e3fa6d2fcd535770f18fa3c9baf21aee85697352637d24c6b2818401c95a34"},
)
CUDA_RUNTIME = Package(
    "nvidia-cuda-runtime-cu12",
    "12.9.79",
    "nvidia/cuda_runtime/lib",
    {"libcudart.so.12": "256e6409e4f06f618e1fb53d4844a6b81cdded1013afa8ade40c22f99eb133b7"},
)
LIBB64 = "libb64.so.0d"
LIBB64_PACKAGE = "libb64-0d"


def prepare(cache: Path = CACHE) -> tuple[Path, Path]:
    """The program, and the folder of its libraries; they are fetched unless they are there.

    Raises:
        PackageError: they cannot be had.
    """
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        raise PackageError(
            f"perf_analyzer is for Linux on x86_64, not {platform.system()} {platform.machine()}"
        )
    folder = cache / "perf_analyzer"
    for package in (CLIENT, CUDA_RUNTIME):
        if not all((folder / name).exists() for name in package.files):
            for name, content in read_package(package, cache).items():
                write_whole(folder / name, content)
    program = folder / "perf_analyzer"
    program.chmod(0o755)
    if not ((folder / LIBB64).exists() or _is_installed(LIBB64)):
        _fetch_libb64(folder)
    return program, folder


def _is_installed(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _fetch_libb64(folder: Path) -> None:
    """Out of the Debian package, which apt checks."""
    unpacked = folder / "unpacked"
    unpacked.mkdir(exist_ok=True)
    try:
        _call("apt-get", "download", LIBB64_PACKAGE, cwd=unpacked)
        (package,) = unpacked.glob("*.deb")
        _call("dpkg", "-x", str(package.name), ".", cwd=unpacked)
        (library,) = unpacked.rglob(LIBB64)
        write_whole(folder / LIBB64, library.read_bytes())
    except ValueError:
        raise PackageError(f"the Debian package {LIBB64_PACKAGE} has no {LIBB64}") from None
    finally:
        shutil.rmtree(unpacked)


def _call(*command: str, cwd: Path) -> None:
    try:
        result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PackageError(f"{command[0]}: {error.strerror}; install {LIBB64_PACKAGE}") from None
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise PackageError(f"{' '.join(command)}: {lines[-1]} (or install {LIBB64_PACKAGE})")


def environment(folder: Path) -> dict[str, str]:
    """What it is to be run with."""
    before = os.environ.get("LD_LIBRARY_PATH", "")
    return {**os.environ, "LD_LIBRARY_PATH": f"{folder.resolve()}:{before}".rstrip(":")}


def main(argv: Sequence[str] | None = None) -> int:
    """All flags are perf_analyzer's."""
    try:
        program, folder = prepare()
    except (PackageError, OSError) as error:
        print(f"perf_analyzer: {error}", file=sys.stderr)
        return 1
    command = [str(program), *(sys.argv[1:] if argv is None else argv)]
    return subprocess.run(command, env=environment(folder), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
