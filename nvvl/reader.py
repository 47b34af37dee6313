"""Reads the packets of a run, wherever in the file they are."""

from __future__ import annotations

import itertools
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av

from nvvl.errors import VideoError
from nvvl.index import NO_STAMP, Extent, Run, VideoIndex
from nvvl.video_file import VideoFile

# Few enough for memory at any size of picture, enough that reading costs little.
PACKETS_PER_READ = 64


def packets_of(file: VideoFile, index: VideoIndex, run: Run) -> Iterator[Any]:
    """Everything that the run needs, in decoding order, with each packet's number as its timestamp.

    Raises:
        VideoError: the file cannot be read.
    """
    if index.decoder_setup is None:
        return _demuxed(file, index, run)
    return _cut_out(file, index, run)


def _cut_out(file: VideoFile, index: VideoIndex, run: Run) -> Iterator[Any]:
    for numbers, stored in chunks_of(file, index, run, PACKETS_PER_READ):
        content = memoryview(stored.content)
        for number, begin, size in zip(numbers, stored.begins, stored.sizes, strict=True):
            packet: Any = av.Packet(size)  # of its own memory, since decoders read on into what is behind it
            packet.update(content[begin : begin + size])
            packet.pts = number
            yield packet


def _demuxed(file: VideoFile, index: VideoIndex, run: Run) -> Iterator[Any]:
    for packet in _packets_up_to(file, index, run.first):
        if packet.pts > run.last:
            return
        if packet.pts >= run.first and index.is_needed(packet.pts, run):
            yield packet


@dataclass(frozen=True)
class Contents:
    """The contents of packets, in decoding order: where in `content` each begins, and its size, in bytes."""

    content: bytes
    begins: array[int]
    sizes: array[int]

    def without_first(self, num_packets: int) -> Contents:
        return Contents(self.content, self.begins[num_packets:], self.sizes[num_packets:])


def payloads_of(file: VideoFile, index: VideoIndex, run: Run) -> Iterator[bytes]:
    """The contents of everything that the run needs, in decoding order, for a decoder that is not FFmpeg's.

    Raises:
        VideoError: the file cannot be read.
    """
    if not index.as_stored:
        return (bytes(packet) for packet in _demuxed(file, index, run))
    _, stored = contents_of(file, index, run)
    extents = zip(stored.begins, stored.sizes, strict=True)
    return (stored.content[begin : begin + size] for begin, size in extents)


def contents_of(file: VideoFile, index: VideoIndex, run: Run) -> tuple[list[int], Contents]:
    """The same in one piece, with the packets' numbers.

    Where the file holds its packets as they are, that is one read, and no container is parsed again.

    Raises:
        VideoError: the file cannot be read.
    """
    (piece,) = chunks_of(file, index, run, len(index.packets))
    return piece


def chunks_of(
    file: VideoFile, index: VideoIndex, run: Run, num_packets: int
) -> Iterator[tuple[list[int], Contents]]:
    """The same in pieces of so many packets, each with the packets' numbers, and read when it is asked for.

    Raises:
        VideoError: the file cannot be read.
    """
    others = None if index.as_stored else _demuxed(file, index, run)
    needed = iter(index.needed(run))
    while numbers := list(itertools.islice(needed, num_packets)):
        if others is None:
            yield numbers, _stored(index.filename, [index.packets.extent(packet) for packet in numbers])
        else:
            yield numbers, _joined(bytes(packet) for packet in itertools.islice(others, len(numbers)))


def _joined(payloads: Iterable[bytes]) -> Contents:
    contents = list(payloads)
    sizes = array("q", map(len, contents))
    return Contents(b"".join(contents), array("q", itertools.accumulate(sizes, initial=0))[:-1], sizes)


def _stored(filename: str, extents: Sequence[Extent]) -> Contents:
    begin = min(position for position, _ in extents)
    end = max(position + size for position, size in extents)
    try:
        with open(filename, "rb", buffering=0) as file:
            content = os.pread(file.fileno(), end - begin, begin)
    except OSError as error:
        raise VideoError(filename, f"cannot be read: {error.strerror}") from error
    if len(content) < end - begin:
        raise VideoError(filename, "was cut short while it was read")
    begins = array("q", (position - begin for position, _ in extents))
    return Contents(content, begins, array("q", (size for _, size in extents)))


def _packets_up_to(file: VideoFile, index: VideoIndex, first: int) -> Iterator[Any]:
    """Numbered packets from some point at or before `first` on, as near to it as the container can seek."""
    for timestamp in (index.packets.pts[first], index.packets.dts[first]):
        landed = None if first == 0 or timestamp == NO_STAMP else _seek(file, index, timestamp, first)
        if landed is not None:
            return itertools.chain([landed], file.numbered(landed.pts + 1))
    file.rewind()
    return file.numbered()


def _seek(file: VideoFile, index: VideoIndex, timestamp: int, latest: int) -> Any:
    """The packet that a seek lands on, with its number as timestamp, or None where it is not certainly known.

    Some containers stop within a packet, or give it other timestamps than when they are read from the start.
    """
    try:
        file.seek(timestamp)
        packet = next(file.demux(), None)
    except VideoError:
        return None
    if packet is None:
        return None
    stamp, packets = (_number(packet.pts), _number(packet.dts), packet.pos, packet.size), index.packets
    for number in range(latest, -1, -1):
        if stamp == (
            packets.pts[number],
            packets.dts[number],
            packets.positions[number],
            packets.sizes[number],
        ):
            packet.pts = number
            return packet
    return None


def _number(timestamp: int | None) -> int:
    return NO_STAMP if timestamp is None else timestamp
