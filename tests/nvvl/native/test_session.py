"""The native session against a made up driver: what it is fed, which pictures it keeps, what it gives."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from nvvl import engines
from nvvl.clips import places_of
from nvvl.errors import EngineError, UnsupportedVideo
from nvvl.indexing import index_of
from nvvl.native import library
from nvvl.native.build import BuildError, build
from nvvl.native.session import NativeSession
from nvvl.reader import payloads_of
from nvvl.video_file import VideoFile
from tests.support import odd_videos
from tests.support.fake_driver import FakeStream, announce, counts_of_driver

CLIPS = [[1, 2, 3], [3, 4, 5]]

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


class Decoded(NamedTuple):
    """First codes of luma and chroma in each place, the sums of the packets, and what the driver counts."""

    luma: list[list[int]]
    chroma: list[list[int]]
    sums: dict[int, int]
    is_whole: bool
    arrived: set[int]
    counts: tuple[int, ...]


def decode(path: Path, clips: Sequence[Sequence[int]], size: tuple[int, int] | None = None) -> Decoded:
    with VideoFile(str(path)) as file:
        index = index_of(file)
        announce(index, size)
        rows = index.info.height * 3 // 2
        out = torch.zeros((len(clips), len(clips[0]), rows, index.info.width), dtype=torch.uint8)
        places, stream = places_of(clips), FakeStream()
        session = NativeSession(0, index.info.codec, 8, stream, 1280, 1280)  # type: ignore[arg-type]
        (run,) = index.plan(places.of_frame)
        session.collect(file, index, run, places, out)
        luma, chroma = out[:, :, : index.info.height], out[:, :, index.info.height :]
        is_whole = all(bool((plane == plane[:, :, :1, :1]).all()) for plane in (luma, chroma))
        firsts = [plane[:, :, 0, 0].tolist() for plane in (luma, chroma)]
        sums = {}
        headers = index.info.nal_format.parameter_sets if index.info.nal_format else b""
        for packet, payload in zip(index.needed(run), payloads_of(file, index, run), strict=True):
            data = index.info.nal_format.annexb(payload) if index.info.nal_format else payload
            sums[index.frame_of_packet[packet]] = sum(headers + data) % 256
            headers = b""
        session.close()
        return Decoded(firsts[0], firsts[1], sums, is_whole, places.arrived, counts_of_driver())


@pytest.mark.parametrize("kind", ["b_frames", "transport_stream", "hevc", "vp9_hidden_frames"])
def test_each_wanted_frame_is_in_its_places(pool: ProcessPoolExecutor, tmp_path: Path, kind: str) -> None:
    """Those of several clips in each of them, luma and chroma; only wanted pictures are mapped."""
    path = odd_videos.make(tmp_path, kind)
    before = pool.submit(counts_of_driver).result()
    decoded = pool.submit(decode, path, CLIPS).result()
    assert decoded.is_whole
    assert decoded.arrived == {1, 2, 3, 4, 5}
    assert decoded.luma == [[decoded.sums[frame] for frame in clip] for clip in CLIPS]
    assert decoded.chroma == [[255 - decoded.sums[frame] for frame in clip] for clip in CLIPS]
    assert decoded.counts[:3] == (0, 0, 0), "contexts, parsers and decoders are given back"
    assert decoded.counts[3] - before[3] == 5


def test_pictures_of_another_size_are_not_for_the_engine(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    path = odd_videos.make(tmp_path, "b_frames")
    with pytest.raises(UnsupportedVideo, match="size of its pictures changes"):
        pool.submit(decode, path, CLIPS, (320, 240)).result()


def test_what_the_driver_refuses_is_named(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    path = odd_videos.make(tmp_path, "b_frames")
    with pytest.raises(EngineError, match="cuvidCreateDecoder: CUDA_ERROR_FAKE"):
        pool.submit(decode_refused, path).result()


def decode_refused(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_REFUSES_DECODERS", "1")
        decode(path, CLIPS)


def test_limits_are_the_drivers(pool: ProcessPoolExecutor) -> None:
    limits = pool.submit(engines.capabilities, 0, "h264", 8).result()
    assert limits == {"width_min": 48, "height_min": 48, "width_max": 4096, "height_max": 4096}
    assert pool.submit(engines.capabilities, 0, "av1", 8).result() == {}
    assert pool.submit(engines.capabilities, 0, "vp8", 8).result() == {}


def test_without_a_driver_the_session_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a driver")
    monkeypatch.setattr(library, "LIBRARY", folder / "libsession.so")
    library.functions.cache_clear()
    library.is_available.cache_clear()
    try:
        assert not library.is_available()
    finally:
        library.functions.cache_clear()
        library.is_available.cache_clear()


def test_a_session_of_other_sources_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "session.cpp"
    changed.write_text(library.SOURCES[0].read_text() + "// changed")
    monkeypatch.setattr(library, "LIBRARY", folder / "libsession.so")
    monkeypatch.setattr(library, "SOURCES", (changed, library.SOURCES[1]))
    for one in (library.functions, library.hash_of_sources):
        one.cache_clear()
    try:
        with pytest.raises(OSError, match=r"was built from other sources; python -m nvvl\.native\.build"):
            library.functions()
    finally:
        for one in (library.functions, library.hash_of_sources):
            one.cache_clear()


def test_a_build_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BuildError, match="no C\\+\\+ compiler 'no-such-compiler'"):
        build(tmp_path / "libsession.so")
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BuildError, match="false failed: no message"):
        build(tmp_path / "libsession.so")
    assert not list(tmp_path.iterdir())


def test_a_stream_that_lies_about_a_length_stays_within_its_packet(
    pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    """A NAL unit that claims more bytes than its packet has ends with the packet."""
    path = odd_videos.make(tmp_path, "b_frames")
    with VideoFile(str(path)) as file:
        index = index_of(file)
        assert index.info.nal_format is not None
        content = bytearray(path.read_bytes())
        for packet in range(len(index.packets)):
            position, _ = index.packets.extent(packet)
            content[position : position + index.info.nal_format.length_size] = b"\xff" * 4
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    decoded = pool.submit(decode_with_index_of, path, broken).result()
    assert decoded == {1, 2, 3, 4, 5}


def decode_with_index_of(path: Path, other: Path) -> Any:
    """Play the packets of a file by the index of one that it was made of; the frames that came."""
    with VideoFile(str(path)) as file:
        index = replace(index_of(file), filename=str(other))
        announce(index)
        places = places_of(CLIPS)
        (run,) = index.plan(places.of_frame)
        out = torch.zeros((2, 3, index.info.height * 3 // 2, index.info.width), dtype=torch.uint8)
        session = NativeSession(0, index.info.codec, 8, FakeStream(), 64, 64)  # type: ignore[arg-type]
        session.collect(file, index, run, places, out)
        session.close()
        return places.arrived
