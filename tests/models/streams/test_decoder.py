"""Each stream has a decoder of its own, and each request gets its frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.streams.decoder import StreamDecoder
from nvvl import VideoError, video_file
from nvvl.video_file import open_container
from rnb.contract import Batch, Context, Device, Request, RequestError
from rnb.load.sequences import Sequences
from tests.support import numbered_videos as nv
from tests.support.single_frames import SingleFrames


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    return [
        nv.encode(tmp_path / f"{name}.mp4", nv.H264[name], range(start, start + nv.NUM_FRAMES))
        for name, start in (("b3", 0), ("b0", 100))
    ]


def make(**options: Any) -> StreamDecoder:
    return StreamDecoder(StreamDecoder.Options(width=nv.WIDTH, height=nv.HEIGHT, **options), Context())


def test_each_request_gets_the_frame_of_its_stream(videos: list[Path]) -> None:
    step, sequences = make(), Sequences(num_at_once=2, length=40, num_requests=80, frame_step=3)
    expected = [SingleFrames().of(video, range(nv.NUM_FRAMES)) for video in videos]
    out = torch.zeros(1, 3, nv.HEIGHT, nv.WIDTH, dtype=torch.uint8)
    for stream in range(2):
        step.states[stream] = step.start(stream)
    for request_id in range(80):
        turn, stream = divmod(request_id, 2)
        told = sequences.parameters_of(request_id)
        given = step(Batch((Request(request_id, str(videos[stream]), parameters=told),)), (out,))
        assert given.num_rows() == [1]
        assert (out[0].numpy() == expected[stream][3 * turn % nv.NUM_FRAMES]).all(), request_id
    for stream in range(2):
        step.end(stream, step.states.pop(stream))


def test_a_bad_video_fails_its_requests_alone(videos: list[Path], tmp_path: Path) -> None:
    step = make()
    step.warm_up([1])
    told = Sequences(num_at_once=1, length=4, num_requests=4).parameters_of(0)
    step.states[0] = step.start(0)
    with pytest.raises(RequestError, match="cannot be opened"):
        step(Batch((Request(0, str(tmp_path / "none.mp4"), parameters=told),)))
    assert step(Batch((Request(1, str(videos[0]), parameters=told),))).num_rows() == [1]


@pytest.mark.parametrize(("where", "num_streams"), [(Device("cuda", 0), 5), (Device("cpu"), 3)])
def test_a_gpu_opens_as_many_streams_beforehand_as_are_to_come(
    monkeypatch: pytest.MonkeyPatch, where: Device, num_streams: int
) -> None:
    """Without a GPU: what would be opened there is only noted."""
    context = Context(samples=["a.mp4", "none.mp4"], num_sequences=5)
    step = StreamDecoder(StreamDecoder.Options(width=nv.WIDTH, height=nv.HEIGHT), context)
    step.context = replace(context, where=where)
    events: list[str] = []

    class Opened:
        def __init__(self, video: str) -> None:
            self.video = video
            if video == "none.mp4":
                raise VideoError(video, "cannot be opened")

        def picture_into(self, number: int, out: torch.Tensor) -> None:
            events.append(f"{number} of {self.video}")

        def close(self) -> None:
            events.append("closed")

    monkeypatch.setattr(step, "_opened", Opened)
    step.warm_up([1])
    good = -(-num_streams // 2)
    assert events == ["0 of a.mp4"] * good + ["closed"] * good, "all are open at once"


def test_without_a_request_nothing_is_opened() -> None:
    make().warm_up([1])


def test_a_window_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="resize: 10 x 10, must be at least the output's"):
        StreamDecoder.output(StreamDecoder.Options(resize=(10, 10)), ())


def test_a_video_that_cannot_be_used_is_looked_into_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may take as long as reading all of it, and the other streams wait for it."""
    (tmp_path / "a.mp4").write_bytes(b"x" * 100)
    step, opened = make(), list[str]()

    def counted(filename: str) -> Any:
        opened.append(filename)
        return open_container(filename)

    monkeypatch.setattr(video_file, "open_container", counted)
    step.states[0] = step.start(0)
    told = Sequences(num_at_once=1, length=9, num_requests=9)
    for request in range(9):
        with pytest.raises(RequestError, match=r"a\.mp4: is no video"):
            step(Batch((Request(request, str(tmp_path / "a.mp4"), parameters=told.parameters_of(request)),)))
    assert len(opened) == 1
    step.end(0, step.states.pop(0))
