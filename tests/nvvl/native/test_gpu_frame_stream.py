"""A stream on the video engine, with a made up driver: the frame that is asked for, each packet fed once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from nvvl import engine_pictures
from nvvl.errors import UnsupportedVideo
from nvvl.gpu_frame_stream import GpuFrameStream
from nvvl.index import Run
from nvvl.indexing import index_of
from nvvl.native import library
from nvvl.native.session import NativeSession
from nvvl.reader import payloads_of
from nvvl.video_file import VideoFile
from nvvl.window import Window
from tests.support import numbered_videos as nv
from tests.support import odd_videos
from tests.support.fake_driver import FakeStream, announce, counts_of_driver

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")

CODED = {
    "b3.mp4": nv.H264["b3"],
    "open.mkv": nv.H264["open"],
    "hevc.mp4": nv.HEVC["b3"],
}


def given(path: Path, numbers: Sequence[int], frame_step: int) -> tuple[list[int], list[int], int, int, Any]:
    """For each frame that is asked for, the code that its picture is filled with and the one it should be;
    how many packets were fed, to how many sessions; what the driver holds at the end."""
    fed, opened = [], []
    feed, make = NativeSession.feed, NativeSession.__init__

    def counted_make(session: NativeSession, *args: Any, **options: Any) -> None:
        opened.append(session)
        make(session, *args, **options)

    def counted(session: NativeSession, *args: Any, **options: Any) -> Any:
        arrived, num_fed = feed(session, *args, **options)
        fed.append(num_fed)
        return arrived, num_fed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "current_stream", lambda device: FakeStream())
        patch.setattr(engine_pictures, "convert", lambda kept, out, *_: out.fill_(int(kept.data[0, 0, 0])))
        patch.setattr(NativeSession, "feed", counted)
        patch.setattr(NativeSession, "__init__", counted_make)
        with VideoFile(str(path)) as file:
            index = index_of(file)
            announce(index)
            whole = Run(0, len(index.packets) - 1, frozenset(range(index.num_frames)))
            nal_format = index.info.nal_format
            assert nal_format is not None
            sums = [sum(nal_format.annexb(data)) for data in payloads_of(file, index, whole)]
            headers = sum(nal_format.parameter_sets)
        stream = GpuFrameStream(
            str(path), Window.centred(8, 8), torch.device("cpu", 0), frame_step=frame_step
        )
        told, expected, begun = [], [], None
        for number in numbers:
            out = torch.zeros(3, 8, 8, dtype=torch.uint8)
            stream.picture_into(number, out)
            told.append(int(out[0, 0, 0]))
            frame = number % index.num_frames
            if begun is None or frame < begun:
                first = index.start_of(frame)
            begun = frame
            packet = index.packet_of_frame[frame]
            expected.append((sums[packet] + (headers if packet == first else 0)) % 256)
        stream.close()
    return told, expected, sum(fed), len(opened), counts_of_driver()[:3]


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("frame_step", [1, 2, 7])
def test_frames_come_in_order_over_and_over(
    pool: ProcessPoolExecutor, tmp_path: Path, name: str, frame_step: int
) -> None:
    path = nv.encode(tmp_path / name, CODED[name])
    numbers = range(0, 2 * nv.NUM_FRAMES, frame_step)
    told, expected, num_fed, num_sessions, held = pool.submit(given, path, numbers, frame_step).result()
    assert told == expected
    assert num_fed <= 2 * nv.NUM_FRAMES, "no packet is fed twice"
    assert num_sessions == 1
    assert held == (0, 0, 0)


def test_frames_that_nobody_asks_for_are_passed_over(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    path = nv.encode(tmp_path / "a.mp4", nv.H264["b3"])
    told, expected, _, num_sessions, held = pool.submit(given, path, [0, 1, 9, 10, 33, 5, 6, 47], 1).result()
    assert told == expected
    assert num_sessions == 1, "one in the middle of a video can begin again"
    assert held == (0, 0, 0)


def given_one_after_the_other(path: Path) -> tuple[list[int], int, Any]:
    """The picture of frame 3 of two streams with the same spare sessions, how many were opened, and what the
    driver holds when those are closed."""
    opened, told, spare = [], [], list[NativeSession]()
    make = NativeSession.__init__

    def counted_make(session: NativeSession, *args: Any, **options: Any) -> None:
        opened.append(session)
        make(session, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "current_stream", lambda device: FakeStream())
        patch.setattr(engine_pictures, "convert", lambda kept, out, *_: out.fill_(int(kept.data[0, 0, 0])))
        patch.setattr(NativeSession, "__init__", counted_make)
        with VideoFile(str(path)) as file:
            announce(index_of(file))
        for _ in range(2):
            stream = GpuFrameStream(str(path), Window.centred(8, 8), torch.device("cpu", 0), spare=spare)
            out = torch.zeros(3, 8, 8, dtype=torch.uint8)
            stream.picture_into(3, out)
            told.append(int(out[0, 0, 0]))
            stream.close()
            stream.close()
            assert len(spare) == 1
        spare.pop().close()
    return told, len(opened), counts_of_driver()[:3]


def test_a_stream_that_ends_leaves_its_session_to_the_next(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    path = nv.encode(tmp_path / "a.mp4", nv.H264["b3"])
    (first, second), num_opened, held = pool.submit(given_one_after_the_other, path).result()
    assert first == second
    assert num_opened == 1
    assert held == (0, 0, 0)


def refusal(path: Path) -> str:
    try:
        GpuFrameStream(str(path), Window.centred(8, 8), torch.device("cpu", 0))
    except UnsupportedVideo as error:
        return str(error)
    return ""


def test_what_the_engine_does_not_decode_is_said(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    path = odd_videos.make(tmp_path, "mpeg4_avi")
    assert pool.submit(refusal, path).result() == "this GPU's does not decode 8-bit mpeg4"


def test_without_the_native_session_it_is_for_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "is_available", lambda: False)
    assert "python -m nvvl.native.build" in refusal(tmp_path / "any.mp4")
