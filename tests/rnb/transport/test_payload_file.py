"""Bytes of requests as files that decoders of every kind open."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.images.encoded import read_encoded
from nvvl import RnBLoader
from rnb.transport.payload_file import KEPT_BYTES, PayloadFiles
from tests.support.videos import write_video


@pytest.fixture
def files() -> Iterator[PayloadFiles]:
    files = PayloadFiles()
    yield files
    files.close()


def test_another_process_reads_it_and_it_is_gone_when_closed(files: PayloadFiles) -> None:
    for data in (b"some bytes" * 100_000, b"", b"fewer bytes", b"others too."):
        file = files.hold(data)
        told = subprocess.run(["cat", file.path], capture_output=True, check=True)
        assert told.stdout == data
        files.let_go(file)
    files.close()
    assert not os.path.exists(file.path)


def test_each_that_is_held_is_another_and_large_ones_are_freed(files: PayloadFiles) -> None:
    held = [files.hold(bytes([number]) * 10) for number in range(3)]
    assert [Path(file.path).read_bytes() for file in held] == [bytes([number]) * 10 for number in range(3)]
    large = files.hold(bytes(10 * KEPT_BYTES))
    files.let_go(large)
    assert os.stat(large.path).st_blocks == 0
    for file in held:
        files.let_go(file)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov"])
def test_a_video_is_decoded_from_it_without_its_suffix(
    files: PayloadFiles, tmp_path: Path, suffix: str
) -> None:
    path = write_video(tmp_path / f"video.{suffix}", num_frames=20)
    file = files.hold(path.read_bytes())
    with RnBLoader(64, 48, 1, -1) as loader:
        loader.loadfile(path)
        loader.loadfile(file.path)
        of_path, of_bytes = next(loader), next(loader)
    assert of_path.equal(of_bytes)
    assert of_path.any()


def test_the_index_of_one_video_is_not_taken_for_that_of_the_next(
    files: PayloadFiles, tmp_path: Path
) -> None:
    videos = [write_video(tmp_path / f"{n}.mp4", num_frames=10 + n).read_bytes() for n in range(3)]
    longest = max(map(len, videos))
    paths = set()
    with RnBLoader(64, 48, 1, -1) as loader:
        for number, video in enumerate(videos):
            file = files.hold(video.ljust(longest, b"\0"))
            loader.loadfile(file.path)
            assert len(next(loader)) == 10 + number
            paths.add(file.path)
            files.let_go(file)
    assert len(paths) == 1


def test_an_image_is_read_from_it(files: PayloadFiles) -> None:
    assert read_encoded(files.hold(b"as it is stored").path).data == b"as it is stored"
