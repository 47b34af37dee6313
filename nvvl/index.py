"""Which packet holds which displayed frame, and which packets a set of frames needs.

A frame's index is its place in a full sequential decode. `nvvl.indexing` finds it out, once a file.
"""

from __future__ import annotations

import bisect
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from nvvl.bitstream import NalFormat
from nvvl.decoder_setup import DecoderSetup
from nvvl.picture import Color, Orientation

HIDDEN = -1
NO_STAMP = -(2**63)
# Of an index besides its columns: objects, names, parameter sets, and its place in a cache.
FIXED_BYTES = 3000
# Draining and refilling the decoder at a jump costs about as much as decoding this many packets.
MIN_PACKETS_SAVED = 4

# Position and size in bytes.
Extent = tuple[int, int]


@dataclass(frozen=True)
class StreamInfo:
    """What the first frame declares, and the stream: its frames a second, on average.

    `pixel_format` is FFmpeg's name; the sizes are of the stored picture.
    """

    codec: str
    pixel_format: str
    width: int
    height: int
    interlaced: bool
    color: Color | None
    orientation: Orientation | None
    nal_format: NalFormat | None
    frame_rate: Fraction | None


@dataclass(frozen=True)
class Run:
    """Packets to feed in one go: from a keyframe, `first`, to `last`, and the frames to keep of them."""

    first: int
    last: int
    frames: frozenset[int]


@dataclass(frozen=True)
class Packets:
    """What the container says of each packet, in decoding order; stamps are `NO_STAMP` where it has none."""

    pts: Sequence[int]
    dts: Sequence[int]
    positions: Sequence[int]
    sizes: Sequence[int]

    def __len__(self) -> int:
        return len(self.pts)

    def extent(self, packet: int) -> Extent:
        return self.positions[packet], self.sizes[packet]


@dataclass(frozen=True)
class VideoIndex:
    """The frame table of one file; packets are numbered in decoding order.

    `order` is each packet's place in the order of display, and `frame_of_packet` its frame; both are `HIDDEN`
    where it shows nothing, but a packet that only a container's edit list cuts off has a place. `starts` are
    the packets from which decoding is exact. `counted` says that frames cannot be told by their packets, so
    that they are counted from the first one on. `as_stored` says that the file holds all packets as they are,
    in one format. `damage` are packets that are known to be damaged, and from the frame `num_sure` on, damage
    has left it open which frame is which. `notes` are lines for the user. `decoder_setup` is there where
    packets can be decoded without a container; it says nothing of the video, so it is not compared.
    """

    filename: str
    info: StreamInfo
    num_frames: int
    packets: Packets
    order: Sequence[int]
    frame_of_packet: Sequence[int]
    packet_of_frame: Sequence[int]
    unreferenced: Sequence[int]
    starts: Sequence[int]
    counted: bool
    as_stored: bool
    damage: Sequence[int]
    num_sure: int
    notes: tuple[str, ...] = ()
    decoder_setup: DecoderSetup | None = field(default=None, compare=False)

    @cached_property
    def is_placed(self) -> bool:
        """Whether each packet's place in the order of display is known."""
        return not self.counted and HIDDEN not in self.order

    @property
    def is_damaged(self) -> bool:
        """Whether damage is known anywhere in the file."""
        return bool(self.damage) or self.num_sure < self.num_frames

    @property
    def num_bytes(self) -> int:
        """About how much memory it takes."""
        packets, frames = self.packets, (self.order, self.frame_of_packet, self.packet_of_frame)
        others = (self.unreferenced, self.starts, self.damage)
        columns = (*frames, *others, packets.pts, packets.dts, packets.positions, packets.sizes)
        return FIXED_BYTES + sum(map(sys.getsizeof, {id(column): column for column in columns}.values()))

    def plan(self, frames: Iterable[int]) -> list[Run]:
        """The fewest packets, in order, that give these frames exactly."""
        wanted = sorted(set(frames))
        if self.counted:
            return [Run(0, len(self.packets) - 1, frozenset(wanted))]
        runs: list[tuple[int, int, set[int]]] = []
        for frame in wanted:
            packet, start = self._last_for(frame), self.start_of(frame)
            if runs and start < runs[-1][1] + MIN_PACKETS_SAVED:
                first, last, members = runs[-1]
                runs[-1] = (first, max(last, packet), members | {frame})
            else:
                runs.append((start, packet, {frame}))
        return [Run(first, last, frozenset(members)) for first, last, members in runs]

    def _last_for(self, frame: int) -> int:
        """The last packet to feed for a frame; 'packed' MPEG-4 gives it out when the next one comes."""
        is_packed = self.info.codec == "mpeg4"
        return min(self.packet_of_frame[frame] + is_packed, len(self.packets) - 1)

    def start_of(self, frame: int) -> int:
        """The last exact start that is neither stored nor displayed after the frame."""
        packet = self.packet_of_frame[frame]
        place = bisect.bisect_right(self.starts, packet) - 1
        while place > 0 and self.order[self.starts[place]] > self.order[packet]:
            place -= 1
        return self.starts[place]

    def needed(self, run: Run) -> list[int]:
        """The packets of a run that must be decoded, in decoding order."""
        return [packet for packet in range(run.first, run.last + 1) if self.is_needed(packet, run)]

    def displayed(self, packets: Iterable[int]) -> list[int]:
        """The frames of these packets in the order of display, `HIDDEN` for those that are cut off."""
        return [self.frame_of_packet[packet] for packet in sorted(packets, key=self.order.__getitem__)]

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
        return HIDDEN < self.order[packet] < self.order[run.first]


def numbers(values: Iterable[int]) -> array[int]:
    """Places in a file or a stream, 4 bytes each."""
    return array("i", values)


def stamps(values: Iterable[int | None]) -> array[int]:
    """Times or positions, 8 bytes each."""
    return array("q", (NO_STAMP if value is None else value for value in values))
