"""Bytes of requests as files that decoders of every kind open."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from models.images.encoded import read_encoded
from nvvl import RnBLoader
from rnb.live.payload_file import PayloadFile
from tests.support.videos import write_video


def test_another_process_reads_it_and_it_is_gone_when_closed() -> None:
    file = PayloadFile(b"some bytes" * 100_000)
    told = subprocess.run(["cat", file.path], capture_output=True, check=True)
    assert told.stdout == b"some bytes" * 100_000
    file.close()
    assert not os.path.exists(file.path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov"])
def test_a_video_is_decoded_from_it_without_its_suffix(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"video.{suffix}", num_frames=20)
    file = PayloadFile(path.read_bytes())
    with RnBLoader(64, 48, 1, -1) as loader:
        loader.loadfile(path)
        loader.loadfile(file.path)
        of_path, of_bytes = next(loader), next(loader)
    assert of_path.equal(of_bytes)
    assert of_path.any()
    file.close()


def test_the_index_of_one_video_is_not_taken_for_that_of_the_next(tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f"{n}.mp4", num_frames=10 + n).read_bytes() for n in range(3)]
    longest = max(map(len, videos))
    with RnBLoader(64, 48, 1, -1) as loader:
        for number, video in enumerate(videos):
            file = PayloadFile(video.ljust(longest, b"\0"))  # as large, at the same path
            os.utime(file.path, ns=(0, 0))  # made within one tick of the clock
            loader.loadfile(file.path)
            assert len(next(loader)) == 10 + number
            file.close()


def test_an_image_is_read_from_it() -> None:
    file = PayloadFile(b"as it is stored")
    assert read_encoded(file.path).data == b"as it is stored"
    file.close()
