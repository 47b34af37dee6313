"""Which packet holds which displayed frame, and which packets a set of frames needs.

A frame's index is its place in a full sequential decode. Demuxing alone finds it: frames are displayed in the
order of their presentation timestamps, whatever order they are stored in. Where that is not certain (missing
or doubled timestamps, undecodable leading pictures, codecs with hidden frames, field pictures), the file is
decoded once from end to end and the index is read off the frames. The result is cached per path, size and
modification time.
"""

from __future__ import annotations

import bisect
import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nvvl.bitstream import NalFormat, is_exact_start, is_unreferenced, temporal_layer
from nvvl.errors import VideoError
from nvvl.picture import Color, Orientation
from nvvl.video_file import VideoFile

# Each packet of these shows one frame, in the order of the timestamps.
PLAIN_CODECS = ("h264", "hevc", "vp9", "av1")
NAL_CODECS = ("h264", "hevc")
HIDDEN = -1
MAX_CACHED = 1024
# Enough of a NAL unit for its header and for a recovery point message that comes first.
UNIT_HEAD = 64
# Draining and refilling the decoder at a jump costs about as much as decoding this many packets.
MIN_PACKETS_SAVED = 4

Stamp = tuple[int | None, int | None]
# Position and size in bytes.
Extent = tuple[int, int]


@dataclass(frozen=True)
class StreamInfo:
    """What the first frame declares. `pixel_format` is FFmpeg's name; the sizes are of the stored picture."""

    codec: str
    pixel_format: str
    width: int
    height: int
    interlaced: bool
    color: Color | None
    orientation: Orientation | None
    nal_format: NalFormat | None


@dataclass(frozen=True)
class Run:
    """Packets to feed in one go: from a keyframe, `first`, to `last`, and the frames to keep of them."""

    first: int
    last: int
    frames: frozenset[int]


@dataclass(frozen=True)
class VideoIndex:
    """The frame table of one file; packets are numbered in decoding order.

    `stamps` are each packet's (pts, dts), and `packet_of_stamp` tells by them where a seek has landed.
    `frame_of_packet` is `HIDDEN` for packets that show nothing. `starts` are the packets from which decoding
    is exact. `counted` says that timestamps identify nothing, so that frames are counted from the first one
    on. `extents` say where in the file each packet is, if the file holds them all as they are.
    """

    filename: str
    info: StreamInfo
    num_frames: int
    stamps: Sequence[Stamp]
    packet_of_stamp: dict[Stamp, int]
    frame_of_packet: Sequence[int]
    packet_of_frame: Sequence[int]
    unreferenced: Sequence[bool]
    starts: Sequence[int]
    frame_of_pts: dict[int, int]
    counted: bool
    extents: Sequence[Extent] | None

    def plan(self, frames: Iterable[int]) -> list[Run]:
        """The fewest packets, in order, that give these frames exactly."""
        wanted = sorted(set(frames))
        if self.counted:
            return [Run(0, len(self.stamps) - 1, frozenset(wanted))]
        runs: list[tuple[int, int, set[int]]] = []
        for frame in wanted:
            packet, start = self.packet_of_frame[frame], self._start_of(frame)
            if runs and start < runs[-1][1] + MIN_PACKETS_SAVED:
                first, last, members = runs[-1]
                runs[-1] = (first, max(last, packet), members | {frame})
            else:
                runs.append((start, packet, {frame}))
        return [Run(first, last, frozenset(members)) for first, last, members in runs]

    def needed(self, run: Run) -> list[int]:
        """The packets of a run that must be decoded, in decoding order."""
        return [packet for packet in range(run.first, run.last + 1) if self.is_needed(packet, run)]

    def displayed(self, packets: Iterable[int]) -> list[int]:
        """The frames of these packets in the order of display, `HIDDEN` for those that are cut off."""
        return [self.frame_of_packet[packet] for packet in sorted(packets, key=self._pts)]

    def is_needed(self, packet: int, run: Run) -> bool:
        """Whether the packet must be decoded: others may refer to it, or its frame is wanted."""
        if self.frame_of_packet[packet] in run.frames:
            return True
        return not self.unreferenced[packet] and not self._is_skipped_leading(packet, run)

    def _is_skipped_leading(self, packet: int, run: Run) -> bool:
        """Whether the picture is stored behind the run's start but displayed before it, in HEVC.

        None that is displayed later may refer to such (H.265, 3.79), and decoders leave some of them out.
        """
        if self.info.codec != "hevc" or run.first == 0:
            return False
        return self._pts(packet) < self._pts(run.first)

    def _start_of(self, frame: int) -> int:
        """The last exact start that is neither stored nor displayed after the frame."""
        packet = self.packet_of_frame[frame]
        place = bisect.bisect_right(self.starts, packet) - 1
        while place > 0 and self._pts(self.starts[place]) > self._pts(packet):
            place -= 1
        return self.starts[place]

    def _pts(self, packet: int) -> int:
        pts = self.stamps[packet][0]
        assert pts is not None, "only counted indexes have packets without a timestamp"
        return pts


def index_of(file: VideoFile, *, by_decoding: bool = False) -> VideoIndex:
    """The index of an open file, from the cache where the file has not changed. Leaves the file anywhere.

    Args:
        by_decoding: distrust the timestamps and decode the whole file.

    Raises:
        VideoError: the file is truncated, or nothing in it can be decoded.
    """
    key = _signature(file.filename)
    if not by_decoding and (index := _CACHE.get(key)) is not None:
        return index
    file.rewind()
    index = _read(file, by_decoding)
    _CACHE.put(key, index)
    return index


@dataclass
class _Packet:
    """What the table needs of a packet."""

    pts: int | None
    dts: int | None
    displayed: bool
    is_start: bool
    unreferenced: bool
    extent: Extent


def _read(file: VideoFile, by_decoding: bool) -> VideoIndex:
    nal_format = None
    if file.codec in NAL_CODECS:
        nal_format = NalFormat.of(file.codec, bytes(file.decoder.extradata or b""))
    scan = _scan(file, nal_format)
    if len(scan.packets) < file.num_promised_packets:
        reason = f"is truncated: {len(scan.packets)} of {file.num_promised_packets} packets are there"
        raise VideoError(file.filename, reason)
    if scan.first_frame is None:
        raise VideoError(file.filename, f"cannot be decoded: no frame of its {file.codec} stream is intact")
    info = _stream_info(file, scan.first_frame, nal_format)
    if by_decoding or not _is_plain(info, scan.packets):
        return _index_by_decoding(file, info, scan)
    return _index_by_timestamps(file.filename, info, scan)


@dataclass
class _Scan:
    packets: list[_Packet]
    first_frame: Any
    as_stored: bool


def _scan(file: VideoFile, nal_format: NalFormat | None) -> _Scan:
    """Read the whole file once, decoding no more of it than its first frame."""
    packets, all_units, as_stored = [], [], True
    frames: list[Any] = []
    with _mapped(file.filename) as content:
        for packet in file.demux():
            data = bytes(packet)
            position = packet.pos or 0
            as_stored = as_stored and content[position : position + len(data)] == data
            units = [] if nal_format is None else [unit[:UNIT_HEAD] for unit in nal_format.units(data)]
            is_start = packet.is_keyframe and (nal_format is None or is_exact_start(units, file.codec))
            extent = position, len(data)
            packets.append(_Packet(packet.pts, packet.dts, not packet.is_discard, is_start, False, extent))
            all_units.append(units)
            frames = frames or file.decode(packet)
    if nal_format is not None:
        _mark_unreferenced(packets, all_units, file.codec)
    frames = frames or file.decode(None)
    return _Scan(packets, frames[0] if frames else None, as_stored)


def _mapped(filename: str) -> mmap.mmap:
    with open(filename, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _mark_unreferenced(packets: Sequence[_Packet], all_units: Sequence[list[bytes]], codec: str) -> None:
    top_layer = max(map(temporal_layer, all_units), default=0) if codec == "hevc" else 0
    for packet, units in zip(packets, all_units, strict=True):
        packet.unreferenced = is_unreferenced(units, codec, top_layer)


def _is_plain(info: StreamInfo, packets: Sequence[_Packet]) -> bool:
    """Whether the timestamps alone say which frames there are: each packet shows one, from the first on."""
    stamps = [packet.pts for packet in packets]
    if info.codec not in PLAIN_CODECS or info.interlaced or None in stamps or len(set(stamps)) < len(stamps):
        return False
    first = packets[0]
    return first.is_start and all(
        packet.pts >= first.pts  # type: ignore[operator]
        for packet in packets
        if packet.displayed
    )


def _stream_info(file: VideoFile, frame: Any, nal_format: NalFormat | None) -> StreamInfo:
    return StreamInfo(
        codec=file.codec,
        pixel_format=frame.format.name,
        width=frame.width,
        height=frame.height,
        interlaced=frame.interlaced_frame,
        color=Color.of(frame),
        orientation=Orientation.of(frame),
        nal_format=nal_format,
    )


def _index_by_timestamps(filename: str, info: StreamInfo, scan: _Scan) -> VideoIndex:
    shown = sorted(packet.pts for packet in scan.packets if packet.displayed and packet.pts is not None)
    return _build(filename, info, scan, {pts: frame for frame, pts in enumerate(shown)})


def _index_by_decoding(file: VideoFile, info: StreamInfo, scan: _Scan) -> VideoIndex:
    stamps = [frame.pts for frame in _all_frames(file)]
    known = {packet.pts for packet in scan.packets} - {None}
    if len(known) < len(scan.packets) or len(set(stamps)) < len(stamps) or not known.issuperset(stamps):
        return _build_counted(file.filename, info, scan.packets, len(stamps))
    return _build(file.filename, info, scan, {pts: frame for frame, pts in enumerate(stamps)})


def _all_frames(file: VideoFile) -> Iterable[Any]:
    file.rewind()
    for packet in file.demux():
        yield from file.decode(packet)
    yield from file.decode(None)


def _build(filename: str, info: StreamInfo, scan: _Scan, frame_of_pts: dict[int, int]) -> VideoIndex:
    packets = scan.packets
    frame_of_packet = [HIDDEN if p.pts is None else frame_of_pts.get(p.pts, HIDDEN) for p in packets]
    packet_of_frame = [0] * len(frame_of_pts)
    for number, frame in enumerate(frame_of_packet):
        if frame != HIDDEN:
            packet_of_frame[frame] = number
    starts = [number for number, packet in enumerate(packets) if packet.is_start]
    stamps = [(packet.pts, packet.dts) for packet in packets]
    return VideoIndex(
        filename=filename,
        info=info,
        num_frames=len(frame_of_pts),
        stamps=stamps,
        packet_of_stamp={stamp: number for number, stamp in enumerate(stamps)},
        frame_of_packet=frame_of_packet,
        packet_of_frame=packet_of_frame,
        unreferenced=[packet.unreferenced for packet in packets],
        starts=starts if starts and starts[0] == 0 else [0, *starts],
        frame_of_pts=frame_of_pts,
        counted=False,
        extents=[packet.extent for packet in packets] if scan.as_stored else None,
    )


def _build_counted(
    filename: str, info: StreamInfo, packets: Sequence[_Packet], num_frames: int
) -> VideoIndex:
    stamps = [(packet.pts, packet.dts) for packet in packets]
    return VideoIndex(
        filename=filename,
        info=info,
        num_frames=num_frames,
        stamps=stamps,
        packet_of_stamp={stamp: number for number, stamp in enumerate(stamps)},
        frame_of_packet=[HIDDEN] * len(packets),
        packet_of_frame=[0] * num_frames,
        unreferenced=[False] * len(packets),
        starts=[0],
        frame_of_pts={},
        counted=True,
        extents=None,
    )


Signature = tuple[str, int, int]


def _signature(filename: str) -> Signature:
    try:
        status = os.stat(filename)
    except OSError as error:
        raise VideoError(filename, f"cannot be opened: {error.strerror}") from error
    return os.path.abspath(filename), status.st_size, status.st_mtime_ns


class _Cache:
    """The indexes used last, shared by all threads of the process."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[Signature, VideoIndex] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Signature) -> VideoIndex | None:
        with self._lock:
            if key in self._indexes:
                self._indexes.move_to_end(key)
            return self._indexes.get(key)

    def put(self, key: Signature, index: VideoIndex) -> None:
        with self._lock:
            self._indexes[key] = index
            while len(self._indexes) > MAX_CACHED:
                self._indexes.popitem(last=False)


_CACHE = _Cache()
