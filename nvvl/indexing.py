"""Finds out which packet holds which displayed frame.

Demuxing alone tells it where frames are displayed in the order of their presentation timestamps, whatever
order they are stored in. Where that is not certain (missing or doubled timestamps, timestamps that somebody
made up, clocks that restart, undecodable leading pictures, codecs with hidden frames, field pictures), the
file is decoded once from end to end, and the index is read off the frames.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any

from nvvl.bitstream import (
    NalFormat,
    heads_of,
    is_exact_start,
    is_hidden_vp9,
    is_unreferenced,
    num_pictures,
    temporal_layer,
)
from nvvl.errors import DamagedPacket, VideoError
from nvvl.index import HIDDEN, Packets, StreamInfo, VideoIndex, numbers, stamps
from nvvl.index_cache import IndexCache, IndexFolder, IndexKey
from nvvl.mp4_index import index_from_tables
from nvvl.picture import Color, Orientation
from nvvl.picture_order import is_stored_as_shown
from nvvl.video_file import VideoFile

# Each packet of these shows one frame, in the order of the timestamps.
PLAIN_CODECS = ("h264", "hevc", "vp9", "av1")
NAL_CODECS = ("h264", "hevc")
MAX_CACHED_BYTES = 64 << 20
_CACHE = IndexCache(MAX_CACHED_BYTES)
# A transport stream's demuxer notices that a piece is missing before the parser has given out the packet.
GAP_REACH = 2
# Usual steps of the clock in what is still no jump: some encoders leave frames out.
MAX_STEPS = 10


def index_of(file: VideoFile, folder: IndexFolder | None = None) -> VideoIndex:
    """The index of an open file, from memory, or from a folder, where the file has not changed. Leaves the
    file anywhere.

    Raises:
        VideoError: the file is truncated, or nothing in it can be decoded.
    """
    return _kept(file, folder, decode_all=False)


def whole_index_of(file: VideoFile, folder: IndexFolder | None = None) -> VideoIndex:
    """As `index_of`, but the whole file was decoded for it, and its only start is the beginning.

    That is the last word: what it misses, no player shows.
    """
    return replace(_kept(file, folder, decode_all=True), starts=numbers([0]))


def remember_index(key: IndexKey, index: VideoIndex) -> None:
    """Keep one in memory that was made elsewhere."""
    _CACHE.put(key, index)


def forget_indexes() -> None:
    """Forget those in memory, of all files."""
    _CACHE.clear()


def _kept(file: VideoFile, folder: IndexFolder | None, *, decode_all: bool) -> VideoIndex:
    key = IndexKey.of(file.filename, conceal=file.conceal, decode_all=decode_all)
    index = _CACHE.get(key)
    if index is None:
        index = _made(file, decode_all) if folder is None else _filed(file, folder, key)
        _CACHE.put(key, index)
    return index


def _filed(file: VideoFile, folder: IndexFolder, key: IndexKey) -> VideoIndex:
    index = folder.get(key)
    if index is not None:
        return replace(index, filename=file.filename)
    index = _made(file, key.decode_all)
    folder.put(key, index)
    return index


def _made(file: VideoFile, decode_all: bool) -> VideoIndex:
    index = None if decode_all else index_from_tables(file.filename)
    return _demuxed(file, decode_all) if index is None else index


def _demuxed(file: VideoFile, decode_all: bool) -> VideoIndex:
    file.rewind()
    index = _read(file, decode_all)
    file.rewind()  # A decoder that has seen the file must not know more than a fresh one.
    return index


def _read(file: VideoFile, decode_all: bool) -> VideoIndex:
    scan = _scan(file)
    if scan.num_packets < file.num_promised_packets:
        reason = f"is truncated: {scan.num_packets} of {file.num_promised_packets} packets are there"
        raise VideoError(file.filename, reason)
    if scan.first_frame is None:
        raise VideoError(file.filename, f"cannot be decoded: no frame of its {file.codec} stream is intact")
    notes = []
    if file.num_declared_frames > scan.num_packets:
        notes.append(
            f"has {scan.num_packets} of the {file.num_declared_frames} frames that its header declares"
        )
    info = _stream_info(file, scan)
    if decode_all or not _is_plain(info, scan):
        return _index_by_decoding(file, info, scan, tuple(notes))
    return _index_by_timestamps(file, info, scan, tuple(notes))


@dataclass
class _Scan:
    """What demuxing tells of the packets; `units` are the heads of their NAL units."""

    nal_format: NalFormat | None
    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    units: list[list[bytes]] = field(default_factory=list)
    cut_off: set[int] = field(default_factory=set)
    incomplete: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    has_hidden: bool = False
    as_stored: bool = True
    first_frame: Any = None

    @property
    def num_packets(self) -> int:
        return len(self.sizes)

    def gaps(self) -> list[int]:
        """The packets where the container misses something: there, or up to `GAP_REACH` packets later.

        Not where streams were spliced: at a start, with a jump of the clock.
        """
        if not self.incomplete:
            return []
        spliced = {start - before for start in self._jumps() for before in range(1, GAP_REACH + 2)}
        return [packet for packet in self.incomplete if packet not in spliced]

    def _jumps(self) -> set[int]:
        """The starts before which the clock jumps."""
        steps = [_difference(late, early) for early, late in itertools.pairwise(self.dts)]
        usual = statistics.median(filter(None, steps)) if any(steps) else 0
        return {s for s in self.starts if s and not 0 < (steps[s - 1] or 0) <= MAX_STEPS * usual}

    def damaged(self) -> set[int]:
        """The packets that may be incomplete."""
        reached = {packet + ahead for packet in self.gaps() for ahead in range(GAP_REACH + 1)}
        return {packet for packet in reached if packet < self.num_packets}

    def packets(self) -> Packets:
        return Packets(stamps(self.pts), stamps(self.dts), stamps(self.positions), numbers(self.sizes))

    def unreferenced(self, codec: str) -> bytes:
        """For each packet 1 where no other picture refers to it."""
        if self.nal_format is None:
            return bytes(self.num_packets)
        top_layer = max(map(temporal_layer, self.units), default=0) if codec == "hevc" else 0
        return bytes(is_unreferenced(units, codec, top_layer) for units in self.units)


def _difference(late: int | None, early: int | None) -> int | None:
    return None if late is None or early is None else late - early


def _scan(file: VideoFile) -> _Scan:
    """Read the whole file once, decoding no more of it than its first frame."""
    codec = file.codec
    nal_format = NalFormat.of(codec, bytes(file.decoder.extradata or b"")) if codec in NAL_CODECS else None
    scan = _Scan(nal_format)
    frames: list[Any] = []
    with _stored(file.filename) as stored:
        for number, packet in enumerate(file.demux()):
            data = bytes(packet)
            position = packet.pos or 0
            scan.pts.append(packet.pts)
            scan.dts.append(packet.dts)
            scan.positions.append(position)
            scan.sizes.append(len(data))
            is_whole = os.pread(stored.fileno(), len(data), position) == data
            scan.as_stored = scan.as_stored and is_whole and not packet.has_sidedata("new_extradata")
            if packet.is_discard:
                scan.cut_off.add(number)
            if packet.is_corrupt:
                scan.incomplete.append(number)
            units = [] if nal_format is None else heads_of(nal_format.units(data), codec)
            scan.units.append(units)
            if packet.is_keyframe and (nal_format is None or is_exact_start(units, codec)):
                scan.starts.append(number)
            scan.has_hidden = scan.has_hidden or _is_odd(codec, units, data)
            frames = frames or _frames(file, packet)
    frames = frames or _frames(file, None)
    scan.first_frame = frames[0] if frames else None
    return scan


@contextlib.contextmanager
def _stored(filename: str) -> Iterator[IO[bytes]]:
    """Not mapped into memory: a file that is cut short meanwhile would end the process.

    Raises VideoError where it cannot be read.
    """
    try:
        with open(filename, "rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise VideoError(filename, f"cannot be read: {error.strerror}") from error


def _is_odd(codec: str, units: Sequence[bytes], data: bytes) -> bool:
    """Whether a packet does not show exactly one picture."""
    if codec in NAL_CODECS:
        return num_pictures(units, codec) != 1
    return codec == "vp9" and is_hidden_vp9(data)


def _frames(file: VideoFile, packet: Any) -> list[Any]:
    try:
        return file.decode(packet)
    except DamagedPacket:
        return []


def _is_plain(info: StreamInfo, scan: _Scan) -> bool:
    """Whether the timestamps alone say which frames there are: each packet shows one, from the first on."""
    if info.codec not in PLAIN_CODECS or info.interlaced or scan.has_hidden or scan.starts[:1] != [0]:
        return False
    pts = [stamp for stamp in scan.pts if stamp is not None]
    if len(set(pts)) < scan.num_packets:
        return False
    shown = (stamp for number, stamp in enumerate(pts) if number not in scan.cut_off)
    if any(stamp < pts[0] for stamp in shown) or not _goes_on(pts, scan.starts):
        return False
    if info.codec in NAL_CODECS and all(early < late for early, late in itertools.pairwise(pts)):
        assert scan.nal_format is not None, "every NAL codec has one"
        return is_stored_as_shown(info.codec, scan.nal_format.parameter_units, scan.units)
    return True


def _goes_on(pts: Sequence[int], starts: Sequence[int]) -> bool:
    """Whether the clock is ahead at each start of all that is stored before; it is not where it restarts."""
    latest = list(itertools.accumulate(pts, max))
    return all(pts[start] > latest[start - 1] for start in starts if start)


def _stream_info(file: VideoFile, scan: _Scan) -> StreamInfo:
    frame = scan.first_frame
    return StreamInfo(
        codec=file.codec,
        pixel_format=frame.format.name,
        width=frame.width,
        height=frame.height,
        interlaced=frame.interlaced_frame,
        color=Color.of(frame),
        orientation=Orientation.of(frame),
        nal_format=scan.nal_format,
        frame_rate=file.frame_rate,
    )


def _index_by_timestamps(
    file: VideoFile, info: StreamInfo, scan: _Scan, notes: tuple[str, ...]
) -> VideoIndex:
    in_order = sorted(range(scan.num_packets), key=scan.pts.__getitem__)  # type: ignore[arg-type]  # none is None
    order = numbers(range(scan.num_packets))
    for place, packet in enumerate(in_order):
        order[packet] = place
    shown = [packet for packet in in_order if packet not in scan.cut_off]
    return VideoIndex(
        filename=file.filename,
        info=info,
        num_frames=len(shown),
        packets=scan.packets(),
        order=order,
        frame_of_packet=_inverse(shown, scan.num_packets),
        packet_of_frame=numbers(shown),
        unreferenced=scan.unreferenced(info.codec),
        starts=numbers(scan.starts),
        counted=False,
        as_stored=scan.as_stored,
        damage=numbers(sorted(scan.damaged())),
        num_sure=_num_sure(scan, shown),
        notes=notes,
    )


def _num_sure(scan: _Scan, shown: Sequence[int]) -> int:
    """The frames up to the first that may be missing: behind a gap, where the clock leaves out a frame."""
    gaps = scan.gaps()
    if not gaps or len(shown) < 2:
        return len(shown)
    first = next((place for place, packet in enumerate(shown) if packet >= gaps[0]), len(shown))
    times = [scan.pts[packet] for packet in shown]
    steps = [_difference(late, early) or 0 for early, late in itertools.pairwise(times)]
    usual = statistics.mode(steps)
    late = (place + 1 for place in range(max(0, first - 1), len(steps)) if steps[place] > usual)
    return next(late, len(shown))


@dataclass
class _Decoded:
    """What came out of a decoder: the packet of each frame, in order."""

    shown: list[int] = field(default_factory=list)
    keys: set[int] = field(default_factory=set)
    damaged: list[int] = field(default_factory=list)
    num_intact: float = math.inf
    num_sure: float = math.inf
    interlaced: bool = False

    def take(self, frames: Sequence[Any]) -> None:
        for frame in frames:
            number = HIDDEN if frame.pts is None else frame.pts
            if frame.key_frame:
                self.keys.add(number)
            if frame.is_corrupt:
                self.damaged.append(number)
                self.num_intact = min(self.num_intact, len(self.shown))
            self.interlaced = self.interlaced or frame.interlaced_frame
            self.shown.append(number)

    def lose(self) -> None:
        """A packet gave nothing. Before the first frame it may refer to what was cut off: no damage."""
        if self.shown:
            self.num_sure = min(self.num_sure, len(self.shown))


def _decode_all(file: VideoFile) -> _Decoded:
    file.rewind()
    decoded = _Decoded()
    for packet in itertools.chain(file.numbered(), [None]):
        try:
            decoded.take(file.decode(packet))
        except DamagedPacket:
            decoded.lose()
    return decoded


def _index_by_decoding(file: VideoFile, info: StreamInfo, scan: _Scan, notes: tuple[str, ...]) -> VideoIndex:
    decoded = _decode_all(file)
    shown = decoded.shown
    counted = len(set(shown)) < len(shown) or not all(0 <= packet < scan.num_packets for packet in shown)
    of_packet = numbers([HIDDEN]) * scan.num_packets if counted else _inverse(shown, scan.num_packets)
    may_be_joined = counted or file.is_cut_by_parsing
    num_sure = min(len(shown), decoded.num_sure, decoded.num_intact if may_be_joined else math.inf)
    if gaps := scan.gaps():
        behind = (place for place, packet in enumerate(shown) if packet >= gaps[0] or counted)
        num_sure = min(num_sure, next(behind, len(shown)))
    starts = [s for s in scan.starts if not counted and of_packet[s] != HIDDEN]
    if scan.nal_format is None:
        starts = [start for start in starts if start in decoded.keys]
    return VideoIndex(
        filename=file.filename,
        info=replace(info, interlaced=info.interlaced or decoded.interlaced),
        num_frames=len(shown),
        packets=scan.packets(),
        order=of_packet,
        frame_of_packet=of_packet,
        packet_of_frame=numbers(() if counted else shown),
        unreferenced=bytes(scan.num_packets) if counted else scan.unreferenced(info.codec),
        starts=numbers(sorted({0, *starts})),
        counted=counted,
        as_stored=scan.as_stored,
        damage=numbers(sorted({*scan.damaged(), *decoded.damaged} - {HIDDEN})),
        num_sure=int(num_sure),
        notes=notes,
    )


def _inverse(packets: Sequence[int], num_packets: int) -> Sequence[int]:
    """For each packet its place in the list, `HIDDEN` for one that is not there."""
    places = numbers([HIDDEN]) * num_packets
    for place, packet in enumerate(packets):
        places[packet] = place
    return places
