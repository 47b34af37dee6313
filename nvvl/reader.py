"""Reads the packets of a run, wherever in the file they are."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from nvvl.errors import VideoError
from nvvl.index import Extent, Run, VideoIndex
from nvvl.video_file import VideoFile


def packets_of(file: VideoFile, index: VideoIndex, run: Run) -> Iterator[tuple[int, Any]]:
    """(number, packet) of everything that the run needs, in decoding order.

    Raises:
        VideoError: the file cannot be read.
    """
    for number, packet in _packets_up_to(file, index, run.first):
        if number > run.last:
            return
        if number >= run.first and index.is_needed(number, run):
            yield number, packet


def payloads_of(file: VideoFile, index: VideoIndex, run: Run) -> Iterator[bytes]:
    """The contents of everything that the run needs, in decoding order, for a decoder that is not FFmpeg's.

    Where the file holds its packets as they are, they come from one read, and no container is parsed again.

    Raises:
        VideoError: the file cannot be read.
    """
    if index.extents is None:
        return (bytes(packet) for _, packet in packets_of(file, index, run))
    return _stored_payloads(index.filename, [index.extents[packet] for packet in index.needed(run)])


def _stored_payloads(filename: str, extents: Sequence[Extent]) -> Iterator[bytes]:
    begin = min(position for position, _ in extents)
    end = max(position + size for position, size in extents)
    try:
        with open(filename, "rb", buffering=0) as file:
            content = os.pread(file.fileno(), end - begin, begin)
    except OSError as error:
        raise VideoError(filename, f"cannot be read: {error.strerror}") from error
    if len(content) < end - begin:
        raise VideoError(filename, "was cut short while it was read")
    return (content[position - begin : position - begin + size] for position, size in extents)


def _packets_up_to(file: VideoFile, index: VideoIndex, first: int) -> Iterator[tuple[int, Any]]:
    """Numbered packets from some point at or before `first` on, as near to it as the container can seek."""
    if not index.counted:
        for timestamp in index.stamps[first]:
            landed = None if timestamp is None else _seek(file, index, timestamp)
            if landed is not None and landed[0] <= first:
                return itertools.chain([landed], enumerate(file.demux(), landed[0] + 1))
    file.rewind()
    return enumerate(file.demux())


def _seek(file: VideoFile, index: VideoIndex, timestamp: int) -> tuple[int, Any] | None:
    """The packet that a seek lands on and its number, or None where it cannot be told."""
    file.seek(timestamp)
    packet = next(file.demux(), None)
    number = None if packet is None else index.packet_of_stamp.get((packet.pts, packet.dts))
    return None if number is None else (number, packet)
