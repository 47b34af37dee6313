"""Reads the packets of a run, wherever in the file they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from nvvl.index import Run, VideoIndex
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
