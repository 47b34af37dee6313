"""What a video engine is fed, and which frames its pictures are taken for; FFmpeg stands in for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from torch import Tensor

from nvvl.engine_feed import OutOfStep, decoded, decoded_singly
from nvvl.index import VideoIndex
from nvvl.indexing import index_of
from nvvl.reader import payloads_of
from nvvl.video_file import VideoFile
from tests.support import odd_videos

KINDS = [
    "b_frames",
    "one_keyframe",
    "all_intra",
    "four_slices",
    "edit_list",
    "variable_rate",
    "late_start_mkv",
]
MORE_KINDS = ["transport_stream", "hevc", "hevc_layers", "hevc_10bit", "vp9_hidden_frames"]


class SoftwareEngine:
    """Takes packets as a driver does: no container, only what the bytes themselves say."""

    def __init__(self, codec: str, *, cut_into_pictures: bool) -> None:
        self.context: Any = av.CodecContext.create(codec, "r")
        self.cut_into_pictures = cut_into_pictures
        self.num_calls = 0

    def decode(self, data: bytes, pts: int) -> list[Any]:
        self.num_calls += 1
        if self.cut_into_pictures:
            return self._frames(self.context.parse(data))
        packet = av.Packet(data)
        packet.pts = pts
        return self._frames([packet])

    def drain(self) -> list[Any]:
        rest = self.context.parse(None) if self.cut_into_pictures else []
        frames = self._frames([*rest, None])
        self.context.flush_buffers()
        return frames

    def pts_of(self, frame: Any) -> int:
        return int(frame.pts)

    def picture_of(self, frame: Any) -> Tensor:
        return torch.from_numpy(frame.to_ndarray(format="gray"))

    def _frames(self, packets: list[Any]) -> list[Any]:
        return [frame for packet in packets for frame in self.context.decode(packet)]


class ForgetfulEngine(SoftwareEngine):
    """Loses the first picture of every stream."""

    def drain(self) -> list[Any]:
        return super().drain()[1:]


def open_index(path: Path) -> tuple[VideoFile, VideoIndex]:
    file = VideoFile(str(path))
    return file, index_of(file)


@pytest.mark.parametrize("kind", KINDS + MORE_KINDS)
@pytest.mark.parametrize("read_container", [False, True])
def test_pictures_are_told_by_counting(odd_files: dict[str, Path], kind: str, read_container: bool) -> None:
    path = odd_files[kind]
    truth = [odd_videos.content(frame) for frame in odd_videos.sequential(path)]
    file, index = open_index(path)
    if read_container:
        index = replace(index, as_stored=False)
    joined = index.info.nal_format is not None
    engine = SoftwareEngine(index.info.codec, cut_into_pictures=joined)
    with file:
        for wanted in ([0], [5, 6], [len(truth) - 1], [3, 21], list(range(len(truth)))):
            got = {}
            for run in index.plan(wanted):
                for number, frame in decoded(engine, index, run, payloads_of(file, index, run)):
                    got[number] = odd_videos.content(frame)
            assert {number: got[number] for number in wanted} == {number: truth[number] for number in wanted}
    assert not joined or engine.num_calls < 20, "many packets go in with one call"


@pytest.mark.parametrize("kind", [*KINDS, *MORE_KINDS, "open_gop"])
def test_pictures_are_told_by_timestamps(odd_files: dict[str, Path], kind: str) -> None:
    path = odd_files[kind]
    truth = [odd_videos.content(frame) for frame in odd_videos.sequential(path)]
    file, index = open_index(path)
    engine = SoftwareEngine(index.info.codec, cut_into_pictures=False)
    with file:
        for wanted in ([0], [5, 6], [len(truth) - 1], [3, 21]):
            got = {}
            for run in index.plan(wanted):
                for number, frame in decoded_singly(engine, index, run, payloads_of(file, index, run)):
                    got[number] = odd_videos.content(frame)
            assert {number: got[number] for number in wanted} == {number: truth[number] for number in wanted}


def test_a_picture_too_few_is_noticed(odd_files: dict[str, Path]) -> None:
    file, index = open_index(odd_files["b_frames"])
    engine = ForgetfulEngine("h264", cut_into_pictures=True)
    [run] = index.plan([5])
    with file, pytest.raises(OutOfStep):
        list(decoded(engine, index, run, payloads_of(file, index, run)))


def test_a_picture_too_many_is_noticed(odd_files: dict[str, Path]) -> None:
    file, index = open_index(odd_files["b_frames"])
    engine = SoftwareEngine("h264", cut_into_pictures=True)
    [first], [later] = index.plan([1]), index.plan([10])
    with file, pytest.raises(OutOfStep):
        list(decoded(engine, index, first, payloads_of(file, index, later)))


def test_which_files_hold_their_packets_as_they_are(odd_files: dict[str, Path]) -> None:
    stored = {name: open_index(path)[1].as_stored for name, path in odd_files.items()}
    assert stored["b_frames"]
    assert stored["fragmented"]
    assert stored["hevc"]
    assert not stored["transport_stream"], "a transport stream cuts packets into pieces of its own"
