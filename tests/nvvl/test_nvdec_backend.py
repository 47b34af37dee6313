"""Which videos are for the GPU's video engine; the others go to the CPU. Decoding is in tests/gpu."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nvvl import engine_pictures
from nvvl.errors import VideoError
from nvvl.index import VideoIndex
from nvvl.indexing import index_of
from nvvl.native import library
from nvvl.nvdec_backend import NvdecBackend
from nvvl.video_file import VideoFile
from nvvl.window import Window
from tests.support import odd_videos

LIMITS = {"width_min": 48, "width_max": 8192, "height_min": 48, "height_max": 8192}
CLIPS = [[0, 1]]


class OnEngine(Exception):
    """The engine was asked."""


def capabilities(gpu: int, codec: str, bit_depth: int) -> dict[str, int]:
    return LIMITS if (codec, bit_depth) == ("h264", 8) else {}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> NvdecBackend:
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(engine_pictures, "capabilities", capabilities)
    backend = NvdecBackend(torch.device("meta"), Window.centred(8, 8), None)

    def on_engine(*_: object) -> int:
        raise OnEngine

    monkeypatch.setattr(backend, "_decode_on_engine", on_engine)
    return backend


def decode(backend: NvdecBackend, path: Path, change: Callable[[VideoIndex], VideoIndex]) -> None:
    with VideoFile(str(path)) as file:
        backend.decode(file, change(index_of(file)), CLIPS, torch.empty(1, 3, 2, 8, 8))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd_videos.make(tmp_path_factory.mktemp("videos"), "b_frames")


def test_a_video_whose_packets_show_a_frame_each_is_for_the_engine(
    backend: NvdecBackend, video: Path
) -> None:
    with pytest.raises(OnEngine):
        decode(backend, video, lambda index: index)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda index: replace(index, counted=True), "its packets do not show one frame each"),
        (lambda index: replace(index, order=[*index.order[:-1], -1]), "its packets do not show one frame"),
        (lambda index: replace(index, info=replace(index.info, codec="mpeg4")), "8-bit mpeg4"),
        (lambda index: replace(index, info=replace(index.info, width=61)), "odd size 61x"),
        (lambda index: replace(index, info=replace(index.info, interlaced=True)), "it is interlaced"),
        (lambda index: replace(index, info=replace(index.info, pixel_format="yuv422p")), "yuv422p"),
        (lambda index: replace(index, info=replace(index.info, pixel_format="yuv420p10le")), "10-bit h264"),
        (lambda index: replace(index, info=replace(index.info, height=10_000)), "size 96x10000"),
    ],
)
def test_others_are_not_and_the_reason_is_said(
    backend: NvdecBackend, video: Path, change: Callable[[VideoIndex], VideoIndex], reason: str
) -> None:
    with pytest.raises(VideoError, match=f"is not for the GPU's video engine: .*{reason}"):
        decode(backend, video, change)


def test_a_run_says_what_reaches_the_engine(backend: NvdecBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "is_available", lambda: True)
    window = Window.centred(8, 8)
    assert NvdecBackend(torch.device("meta"), window, lambda *_: 0).name == "nvdec, pyav"
    monkeypatch.setattr(library, "is_available", lambda: False)
    assert NvdecBackend(torch.device("meta"), window, None).name == "nvdec by PyNvVideoCodec"
