"""Feeds a run of packets to a video engine and tells which frame each of its pictures is.

A call into the driver gives up Python's lock and has to win it back, so threads that decode packet by packet
wait for each other most of the time. Therefore many packets go in with one call. Their timestamps are lost on
the way, but pictures come out in the order of display, so that counting them is enough; should the count be
wrong in the end, the run is decoded again with a call and a timestamp for each packet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from torch import Tensor

from nvvl.clips import Places
from nvvl.errors import UnsupportedVideo
from nvvl.index import HIDDEN, Run, VideoIndex
from nvvl.reader import payloads_of
from nvvl.video_file import VideoFile

# Each call's pictures need memory of their own, 3 MB at 1920x1080.
PACKETS_PER_CALL = 16


class Engine(Protocol):
    """What is asked of `nvvl.video_engine.VideoEngine`."""

    def decode(self, data: bytes, pts: int) -> list[Any]: ...

    def drain(self) -> list[Any]: ...

    def pts_of(self, picture: Any) -> int: ...

    def picture_of(self, picture: Any) -> Tensor: ...


class OutOfStep(Exception):
    """The engine gave another number of pictures than packets were fed."""


def collect(
    engine: Engine, file: VideoFile, index: VideoIndex, run: Run, places: Places, clips: Tensor
) -> None:
    """Decode a run, and copy each wanted frame to its surfaces in (clip, frame, rows, width).

    Raises:
        EngineError: the driver refuses a packet. UnsupportedVideo: its pictures are not what the index says.
        VideoError: the file cannot be read.
    """
    try:
        _copy(engine, decoded(engine, index, run, payloads_of(file, index, run)), places, clips)
    except OutOfStep:
        places.forget(run.frames)
        _copy(engine, decoded_singly(engine, index, run, payloads_of(file, index, run)), places, clips)


def _copy(engine: Engine, frames: Iterable[tuple[int, Any]], places: Places, clips: Tensor) -> None:
    for number, frame in frames:
        for clip, place in places.take(number):
            picture = engine.picture_of(frame)
            if picture.shape != clips.shape[2:]:
                raise UnsupportedVideo("the size of its pictures changes")
            clips[clip, place].copy_(picture)


def decoded(
    engine: Engine, index: VideoIndex, run: Run, payloads: Iterable[bytes]
) -> Iterator[tuple[int, Any]]:
    """(index, picture) of all frames of a run; a picture lives until the next one is asked for.

    Raises:
        OutOfStep: what has come may be wrong; use `decoded_singly`.
        EngineError: the driver refuses a packet.
    """
    expected = index.displayed(index.needed(run))
    pictures = _pictures(engine, annexb(index, payloads), _packets_per_call(index))
    num_pictures = 0
    for num_pictures, picture in enumerate(pictures, 1):
        if num_pictures <= len(expected):
            yield expected[num_pictures - 1], picture
    if num_pictures != len(expected):
        raise OutOfStep


def decoded_singly(
    engine: Engine, index: VideoIndex, run: Run, payloads: Iterable[bytes]
) -> Iterator[tuple[int, Any]]:
    """As `decoded`, by timestamps alone; frames that do not come out are left out.

    A packet's timestamp is its place in the order of display, since drivers sort by it.
    """
    packets = index.needed(run)
    frames = {index.order[packet]: index.frame_of_packet[packet] for packet in packets}
    fed = (
        engine.decode(data, index.order[packet])
        for packet, data in zip(packets, annexb(index, payloads), strict=True)
    )
    for picture in itertools.chain(itertools.chain.from_iterable(fed), _drained(engine)):
        yield frames.get(engine.pts_of(picture), HIDDEN), picture


def _drained(engine: Engine) -> Iterator[Any]:
    """What is still inside, once it is asked for."""
    yield from engine.drain()


def _pictures(engine: Engine, payloads: Iterator[bytes], packets_per_call: int) -> Iterator[Any]:
    while batch := list(itertools.islice(payloads, packets_per_call)):
        yield from engine.decode(b"".join(batch), 0)
    yield from engine.drain()


def _packets_per_call(index: VideoIndex) -> int:
    """Only a stream with start codes can be cut into pictures again."""
    return 1 if index.info.nal_format is None else PACKETS_PER_CALL


def annexb(index: VideoIndex, payloads: Iterable[bytes]) -> Iterator[bytes]:
    """The packets as video engines take them: with start codes, the first one behind the parameter sets."""
    nal_format = index.info.nal_format
    if nal_format is None:
        yield from payloads
        return
    headers = nal_format.parameter_sets
    for payload in payloads:
        yield headers + nal_format.annexb(payload)
        headers = b""
