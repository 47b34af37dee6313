"""A process in which a made up driver, fake_driver.cpp, stands in for NVIDIA's."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from nvvl.index import VideoIndex
from nvvl.native import library
from nvvl.native.build import build

SOURCE = Path(__file__).with_suffix(".cpp")


class FakeStream:
    """For a CUDA stream."""

    cuda_stream = 0


def prepare(folder: Path) -> None:
    """Put the native session and the driver into a folder."""
    build(folder / "libsession.so")
    for name in ("libcuda.so.1", "libnvcuvid.so.1"):
        options = ["-std=c++17", "-fPIC", "-shared", f"-Wl,-soname,{name}"]
        subprocess.run(["g++", *options, str(SOURCE), "-o", str(folder / "fake.so")], check=True)
        os.link(folder / "fake.so", folder / name)


@contextmanager
def process_with_driver(folder: Path) -> Iterator[ProcessPoolExecutor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_LIBRARY_PATH", str(folder))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context, initializer=_use, initargs=(folder,)) as pool:
            yield pool


def _use(folder: Path) -> None:
    library.LIBRARY = folder / "libsession.so"


def announce(index: VideoIndex, size: tuple[int, int] | None = None) -> None:
    """What the driver shall say of pictures: that they are as large as the index says."""
    width, height = size or (index.info.width, index.info.height)
    os.environ.update(FAKE_WIDTH=str(width), FAKE_HEIGHT=str(height))


def counts_of_driver() -> tuple[int, ...]:
    """Contexts, parsers and decoders that are open, and how many pictures were mapped."""
    counts = (ctypes.c_int32 * 4)()
    ctypes.CDLL("libnvcuvid.so.1").fake_counts(counts)
    cuda = (ctypes.c_int32 * 4)()
    ctypes.CDLL("libcuda.so.1").fake_counts(cuda)
    return (cuda[0], *counts[1:])
